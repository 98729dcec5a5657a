#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Calm groups are released by turns, half as many at once as there are processors; who is near its
# limit does not wait.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
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

start_daemon '[Trigger]\nRetainedHigh=32M\nPressureSome=0\nOomEtaSec=0\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n'
for ((i = 0; i < n_groups; i++)); do
	mkdir "$group/$i"
	(
		echo 0 >"$group/$i/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" working 48 >"$scratch/out.$i"
	) &
	fakes+=($!)
	started+=($!)
done

claim "$at_once of $n_groups groups are asked, the others wait" wait_for 60 is_crowded
one=$(head -n 1 "$scratch/waiting")
one=${one##*/}
ctl explain "$path/$one" >"$scratch/explained"
claim "explain says what for" grep -q "its turn comes" "$scratch/explained"

echo $(($(cat "$group/$one/memory.usage_in_bytes") / 86 * 100)) >"$group/$one/memory.limit_in_bytes"
claim "near its limit one of them is asked at once" wait_for 60 grep -q 'asked reclaim' "$scratch/out.$one"

all_asked()
{
	[ "$(asked)" = "$n_groups" ]
}

kill -USR1 "${fakes[@]}"
claim "when the others are done all are asked" wait_for 60 all_asked
finish
