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

start_daemon '[Trigger]\nRetainedHigh=0\nOomEtaSec=0\n[Trim]\nCooldownSec=1s\n'
retainer_group=$group/a start_retainer 200
claim "the limit is the ancestor's" wait_for 20 seen 4000
claim "far from it nothing is released" eval '! rss_is_below '"$retainer"' 150'

set_limit "$group/a" $((225 << 20))
claim "a limit lowered under the group is noticed" wait_for 20 seen 225
claim "and acted upon" wait_for 20 rss_is_below "$retainer" 100

set_limit "$group/a" -1
claim "no limit of its own: the ancestor's again" wait_for 20 seen 4000
echo again >&9
wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = 2 ]'
claim "far from the limit a burst is kept" eval '! rss_is_below '"$retainer"' 150'
set_limit "$group" $((224 << 20))
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
exec 9>&-
finish
