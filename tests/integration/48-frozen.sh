#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A member that stops in the middle of a release does not hold up the others of its group,
# however long its deadline is: what takes no CPU time is gone on without. But not one that is starved
# and gives all the same.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'

# start_fake MODE MIB : its pid in $fake, measured, so that no question is open.
start_fake()
{
	"$shims/fake-hook" "$runtime/hook.sock" "$1" "$2" >"$scratch/$1" &
	fake=$!
	started+=("$fake")
	wait_for 60 logged "Process $fake .*retained $2M"
}

# The largest are asked first.
start_fake stuck 48
stuck=$fake
start_fake good 24
good=$fake

claim "the round ends although one does not answer" ctl --json=short trim /
claim "for whose deadline it does not wait" logged "Process $stuck .* takes no CPU time: going on without it"
claim "the stuck one was asked first" grep -q 'asked reclaim' "$scratch/stuck"
claim "the other one gave back" grep -q 'asked reclaim' "$scratch/good"
claim "and is still a member" is_member "$good"
claim "so is the stuck one" is_member "$stuck"

# A second round: the question is still open, and is not waited for either.
start_fake full-only 32
claim "another one ends while that question is open" ctl --json=short trim /
claim "which was not waited for" eval \
	'[ "$(grep -c "Process $stuck .* going on without it" "$scratch/daemon.log")" = 1 ]'
claim "everybody else is asked again" grep -q 'asked reclaim' "$scratch/full-only"

# may_starve PID : a hundredth of a processor for all its threads: ticks of its CPU time are a second apart.
may_starve()
{
	local task

	group=/sys/fs/cgroup/cpu/memguard-test-${scratch: -5}
	[ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us ] && mkdir "$group" 2>/dev/null || return 1
	echo 100000 >"$group/cpu.cfs_period_us"
	for task in "/proc/$1"/task/*; do
		echo "${task##*/}" >"$group/tasks"
	done
	echo 1000 >"$group/cpu.cfs_quota_us"
}

start_retainer 150 2
wait_for 60 is_measured "$retainer" '14[0-9]M'
if may_starve "$retainer"; then
	claim "who takes next to no CPU time is waited for while he gives" eval \
		'ctl --json=short trim "$retainer" | jq -e ".[0] | .answered == 1 and .timed_out == 0"'
	claim "all of it" rss_is_below "$retainer" 30
	for task in "/proc/$retainer"/task/*; do
		echo "${task##*/}" >/sys/fs/cgroup/cpu/tasks
	done
	rmdir "$group"
else
	echo "ok - who takes next to no CPU time is waited for # SKIP needs root and the cpu controller of cgroup v1"
fi

finish
