#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Calm groups are released by turns, half as many at once as there are processors; who is near its
# limit does not wait, and a user's slow programs hold up his own.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
command -v setpriv >/dev/null || skip "no setpriv here"
make_group 8000
path=${group#/sys/fs/cgroup/memory}
at_once=$(($(getconf _NPROCESSORS_ONLN) / 2))
[ "$at_once" -ge 1 ] || at_once=1
n_groups=$((at_once + 2))
fakes=()

# Asked, and not told to end.
asked()
{
	grep -lx 'asked reclaim [0-9]*' "$scratch"/out.* | wc -l
}

waiting()
{
	ctl --json=short status | jq -r '.groups[] | select(.reason == "others") | .path'
}

is_crowded()
{
	waiting >"$scratch/waiting"
	[ "$(asked)" = "$at_once" ] && [ "$(wc -l <"$scratch/waiting")" = 2 ]
}

chmod 755 "$scratch"
start_daemon '[Trigger]\nRetainedHigh=32M\nPressureSome=0\nOomEtaSec=0\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n'
for ((i = 0; i < n_groups; i++)); do
	mkdir "$group/$i"
	(
		echo 0 >"$group/$i/cgroup.procs"
		exec setpriv --reuid=65534 "$shims/fake-hook" "$runtime/hook.sock" working 48 >"$scratch/out.$i"
	) &
	fakes+=($!)
	started+=($!)
done

claim "$at_once of $n_groups groups are asked, the others wait" wait_for 60 is_crowded
one=$(head -n 1 "$scratch/waiting")
one=${one##*/}
ctl explain "$path/$one" >"$scratch/explained"
claim "explain says what for" grep -q "its turn comes" "$scratch/explained"

mkdir "$group/other"
(
	echo 0 >"$group/other/cgroup.procs"
	exec "$shims/fake-hook" "$runtime/hook.sock" good 48 >"$scratch/other"
) &
started+=($!)
claim "of another user it is asked before they are done" wait_for 60 grep -q 'asked reclaim' "$scratch/other"
claim "which they are not" eval '[ "$(asked)" = "$at_once" ] &&
	ctl --json=short status | jq -e "[.groups[] | select(.path | test(\"/[0-9]+$\")) | .rounds] | add == 0"'

echo $(($(cat "$group/$one/memory.usage_in_bytes") / 86 * 100)) >"$group/$one/memory.limit_in_bytes"
claim "near its limit one of them is asked at once" wait_for 60 grep -q 'asked reclaim' "$scratch/out.$one"

all_asked()
{
	[ "$(asked)" = "$n_groups" ]
}

kill -USR1 "${fakes[@]}"
claim "when the others are done all are asked" wait_for 60 all_asked

mkdir "$group/last"
(
	echo 0 >"$group/last/cgroup.procs"
	exec "$shims/fake-hook" "$runtime/hook.sock" working 24 >"$scratch/out.last"
) &
last=$!
started+=("$last")
wait_for 20 is_member "$last"
ctl --json=short trim "$last" >"$scratch/trimmed.last" &
trim=$!
wait_for 20 grep -q 'asked reclaim' "$scratch/out.last"
claim "a command for several, one of which has a round already" \
	eval 'ctl --json=short trim "$path" >"$scratch/trimmed"'
claim "tells of all of them" eval '[ "$(jq length "$scratch/trimmed")" = "$((n_groups + 2))" ]'
claim "and of that one that its round is still running" jq -e '
	[.[] | select(.reason == "busy")] | length == 1 and (.[0] |
		.kind == "nothing" and .asked == 0 and (.path | endswith("/last")) and
		(.text | contains("another round of the group is still running")))' "$scratch/trimmed"
claim "for that one alone it fails" eval '! ctl trim "$last"'
kill -USR1 "$last"
claim "which ends as it would have" wait "$trim"
finish
