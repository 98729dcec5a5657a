#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program that has all in use at 95 % of its limit is asked ever less often; when it frees,
# which nothing but its figures shows, the back-off ends at once.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for a cgroup with a limit"
make_group 300
start_daemon '[Trigger]\nRetainedHigh=0\nOomEtaSec=0\nPressureSome=0\n[Trim]\nCooldownSec=1s\n'

# figure KEY : of the group, or 0.
figure()
{
	ctl --json=short explain "${group#/sys/fs/cgroup/memory}" |
		sed -nE 's/.*"'"$1"'":([0-9]+).*/\1/p;t;s/.*/0/p' | head -n 1
}

backs_off()
{
	[ "$(figure urgent_backoff_usec)" -ge "$1" ]
}

retainer_group=$group retains=held
start_retainer 281 4 hold
claim "usage is critical" wait_for 60 eval '[ "$(figure usage_permyriad)" -ge 9200 ]'
claim "the pause between rounds grows to 16 s" wait_for 120 backs_off 16000000

# 1, 2, 4, 8 and 16 s: one round each, and at most three for coming nearer to the limit.
rounds=$(figure rounds)
claim "it took as many rounds as pauses, not seconds ($rounds)" test "$rounds" -le 8

ends=$(($(date +%s%6N) + $(figure settling_left_usec)))
echo free >&9
claim "it frees, and usage stays the same" wait_for 60 grep -q retained "$scratch/out"
claim "it is asked again" wait_for 60 rss_is_below "$retainer" 100
claim "the round pays" wait_for 60 eval '[ "$(figure urgent_backoff_usec)" = 0 ]'
claim "it began before the back-off would have ended" eval '[ "$(figure realtime_usec)" -lt "$ends" ]'
claim "the kernel killed nobody" eval 'grep -q "^oom_kill 0" '"$group"'/memory.oom_control'
exec 9>&-
finish
