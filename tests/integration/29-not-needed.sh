#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Three programs hold freed memory, and above UsageHigh= one of them is enough: the others are not
# asked, and told as not needed. A command asks them all.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for a cgroup with a limit"
make_group 4000
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\nUsageHigh=50%\n[Trim]\nCooldownSec=1s\n'

# How many of $pids hold less than 100 MiB still.
n_released()
{
	local pid n=0

	for pid in "${pids[@]}"; do
		! rss_is_below "$pid" 100 || n=$((n + 1))
	done
	echo $n
}

# rounds TRIGGER KEY : of each round by @TRIGGER that released.
rounds()
{
	ctl --json=short history | python3 -c '
import json, sys
for past in json.load(sys.stdin):
    if past["trigger"] == sys.argv[1] and past["kind"] == "released":
        print(past[sys.argv[2]])' "$@"
}

retainer_group=$group
pids=()
for fd in 6 7 8; do
	start_retainer 150
	pids+=("$retainer")
	eval "exec $fd>&9"
	claim "program $retainer is measured" wait_for 60 logged "Process $retainer .*retained 1[0-9][0-9]"
done
claim "and they grow no more" wait_for 60 grows_no_more "${group#/sys/fs/cgroup/memory}"

# At 53 % each program's 150 MiB are enough for less than 47 %.
usage=$(cat "$group/memory.usage_in_bytes")
echo $((usage / 53 * 100)) >"$group/memory.limit_in_bytes"
claim "usage above UsageHigh= makes one give back" \
	wait_for 60 eval '[ -n "$(rounds usage-high asked)" ]'
claim "one is enough" test "$(rounds usage-high asked)" = 1
claim "two were not needed" test "$(rounds usage-high not_needed)" = 2
claim "they hold theirs" test "$(n_released)" = 1
claim "nothing was expected of them" test "$(rounds usage-high expected_bytes)" -lt $((200 << 20))
ctl history >"$scratch/history"
claim "history says so" grep -q "1 of 1 answered, 2 not needed" "$scratch/history"
claim "the log says so" logged '1 of 1 processes in .*, 2 not needed; because usage is above UsageHigh='
ctl explain >"$scratch/explained"
claim "explain says so" grep -q "Not needed:.*2 more processes" "$scratch/explained"

claim "the round is recorded" eval 'ctl record "$retainer" last >"$scratch/last.round"'
claim "with how many it needed" grep -qx 'expect.needed = 1' "$scratch/last.round"
claim "and replayed" "$top_builddir/tests/replay/replay" "$scratch/last.round"

ctl trim "${group#/sys/fs/cgroup/memory}" >"$scratch/trim"
claim "a command asks them all" test "$(rounds command asked)" = 3
claim "and has them all give back" test "$(n_released)" = 3
claim "of whom it needs all" test "$(rounds command not_needed)" = 0

exec 9>&- 8>&- 7>&- 6>&-
finish
