#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# In a group of many members the first question does not wait until all were looked at; the round
# goes on as in a small one. With fake hooks, each of which holds what it gives back.

. "$(dirname "$0")/lib.sh"

N=12

[ "$(id -u)" = 0 ] || skip "needs root for a cgroup with a limit"
make_group 4000
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\nUsageHigh=50%\n[Trim]\nCooldownSec=1s\n'

for ((i = 0; i < N; i++)); do
	(
		echo 0 >"$group/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" good 40
	) >"$scratch/hook.$i" &
	started+=($!)
done

n_logged()
{
	[ "$(grep -cE -e "$1" "$scratch/daemon.log")" -ge "$2" ]
}

# round TRIGGER KEY : of the last round by @TRIGGER that released.
round()
{
	ctl --json=short history | python3 -c '
import json, sys
rounds = [past for past in json.load(sys.stdin)
          if past["trigger"] == sys.argv[1] and past["kind"] == "released"]
print(rounds[-1][sys.argv[2]] if rounds else "")' "$@"
}

# limit PERCENT : so that the usage of now is so much of it.
limit()
{
	local usage

	usage=$(cat "$group/memory.usage_in_bytes")
	echo $((usage / $1 * 100)) >"$group/memory.limit_in_bytes"
}

claim "all are measured" wait_for 60 n_logged "Process .*retained 40M" $N
claim "and grow no more" wait_for 60 grows_no_more "${group#/sys/fs/cgroup/memory}"

# At 53 % two of twelve give enough for less than 47 %: the best one is not, and then one more.
limit 53
claim "usage above UsageHigh= begins a round" wait_for 60 eval '[ -n "$(round usage-high asked)" ]'
claim "two were needed" test "$(round usage-high asked)" = 2
claim "and answered" test "$(round usage-high answered)" = 2
claim "ten were not" test "$(round usage-high not_needed)" = 10
expected=$(round usage-high expected_bytes)
claim "of two something was expected" test "$expected" -gt $((60 << 20)) -a "$expected" -lt $((100 << 20))
ctl record "${group#/sys/fs/cgroup/memory}" last >"$scratch/last.round"
claim "what it was decided by is recorded" grep -qx 'expect.needed = 2' "$scratch/last.round"
claim "and replayed" "$top_builddir/tests/replay/replay" "$scratch/last.round"

limit 95
claim "near the limit all are asked" wait_for 60 eval '[ "$(round usage-critical asked)" = '$N' ]'
starved=$(n_starved '[0-9]+')
claim "and answer, but for $starved" test "$(round usage-critical answered)" = $((N - starved))
claim "each was asked" wait_for 20 eval '[ "$(grep -l "asked reclaim" "$scratch"/hook.* | wc -l)" = $N ]'
claim "nobody is asked twice in a round" test "$(round usage-critical not_needed)" = 0

finish
