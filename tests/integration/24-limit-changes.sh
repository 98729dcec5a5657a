#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Limits that are changed under a running group, its own and an ancestor's, are noticed and
# acted upon. Values that make no sense are survived.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
make_group 4000
mkdir "$group/a"
base=/sys/fs/cgroup/memory
path=${group#"$base"}/a

# seen MIB : the limit that the daemon goes by; the second one is its last outcome's.
seen()
{
	ctl --json=short explain "$path" | grep -oE '"limit_bytes":[0-9]+' | head -n 1 |
		grep -q ":$(($1 << 20))\$"
}

# The kernel may refuse a limit below what is in use; that is its right.
set_limit()
{
	echo "$2" 2>/dev/null >"$1/memory.limit_in_bytes" || true
}

# told N : so often the kernel has told of a limit of the group that was written. Two in 100 ms are told once.
told()
{
	[ "$(grep -c "A limit of .*/a\" was written" "$scratch/daemon.log")" -ge "$1" ]
}

start_daemon '[Trigger]\nRetainedHigh=0\nOomEtaSec=0\n[Trim]\nCooldownSec=1s\n'
retainer_group=$group/a start_retainer 200
claim "the limit is the ancestor's" wait_for 20 seen 4000
claim "far from it nothing is released" eval '! rss_is_below '"$retainer"' 150'

set_limit "$group/a" $((225 << 20))
claim "a limit lowered under the group is noticed" wait_for 20 seen 225
claim "and told by the kernel" wait_for 20 told 1
claim "and acted upon" wait_for 20 rss_is_below "$retainer" 100

set_limit "$group/a" -1
claim "no limit of its own: the ancestor's again" wait_for 20 seen 4000
claim "and told by the kernel, too" wait_for 20 told 2
echo again >&9
wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = 2 ]'
claim "far from the limit a burst is kept" eval '! rss_is_below '"$retainer"' 150'
set_limit "$group" $((224 << 20))
claim "and so is one above it" wait_for 20 told 3
claim "an ancestor's limit lowered is noticed" wait_for 20 seen 224
claim "and acted upon too" wait_for 20 rss_is_below "$retainer" 100

for limit in 0 1 4096 18446744073709551615 9223372036854771712 -1; do
	set_limit "$group/a" "$limit"
	ctl explain "$path" >"$scratch/claim" 2>&1
done
set_limit "$group" -1
claim "after limits that make no sense it goes on" wait_for 20 eval '! seen 224'
claim "and nobody was harmed" eval 'grep -q "^oom_kill 0" '"$group"'/a/memory.oom_control'
echo again >&9
claim "the program works on" wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = 3 ]'

# Many at rest are read in full once in a quarter of a minute; a written limit is seen before.
# The file of a group that is gone is not kept.
n_watched()
{
	cat /proc/"$daemon"/fdinfo/* 2>/dev/null | grep -c '^inotify wd:'
}

n_watched_is()
{
	[ "$(n_watched)" -eq "$1" ]
}

before=$(n_watched)
many=()
for i in $(seq 40); do
	mkdir "$group/n$i"
	(
		echo 0 >"$group/n$i/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" good 0 >/dev/null
	) &
	many+=($!)
	started+=($!)
done
claim "a watch for each of many groups" wait_for 60 n_watched_is $((before + 40))
n_others()
{
	grep "A limit of .* was written" "$scratch/daemon.log" | grep -vc '/n33"'
}

n=$(n_others)
set_limit "$group/n33" $((50 << 20))
claim "the one that is written is told" wait_for 20 logged 'A limit of ".*/n33" was written'
path=${group#"$base"}/n33
claim "and read" wait_for 20 seen 50
claim "and no other is" [ "$(n_others)" -eq "$n" ]
kill "${many[@]}"
for i in $(seq 40); do
	wait_for 20 rmdir "$group/n$i"
done
claim "no file of a removed group is kept" wait_for 60 n_watched_is "$before"

# However far up it is; and a group beside it shares what is above both.
deep=$group/d
mkdir "$deep"
for i in $(seq 11); do
	deep=$deep/$i
	mkdir "$deep"
done
mkdir "$deep/a" "$deep/b"
for name in a b; do
	(
		echo 0 >"$deep/$name/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" good 0 >/dev/null
	) &
	many+=($!)
	started+=($!)
done
claim "a watch for each level of a deep group, once" wait_for 60 n_watched_is $((before + 14))
set_limit "$group/d" $((70 << 20))
path=${deep#"$base"}/a
claim "a limit twelve levels up is told" wait_for 20 logged 'A limit of ".*/11/a" was written'
claim "to both groups" wait_for 20 logged 'A limit of ".*/11/b" was written'
claim "and read" wait_for 20 seen 70
kill "${many[-2]}"
wait_for 20 rmdir "$deep/a"
claim "the other keeps those above" wait_for 60 n_watched_is $((before + 13))
kill "${many[-1]}"
wait_for 20 rmdir "$deep/b"
claim "and then none is kept" wait_for 60 n_watched_is "$before"
while [ "$deep" != "$group" ]; do
	rmdir "$deep"
	deep=${deep%/*}
done
exec 9>&-
finish
