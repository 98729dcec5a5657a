#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The control for every testcase that says "memguard saved it": without memguard, this VM
# does OOM-kill a unit that grows past its limit, and only that unit.

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"

# Grows without end, a touched MiB at a time.
# shellcheck disable=SC2016 # perl's variables
GROW='my @held; while (1) { push @held, "x" x 1048576; }'

testcase_growing_unit_is_killed()
{
	local bystander_pid

	unit_start bystander.service --property=MemoryMax=64M -- sleep infinity
	bystander_pid=$(unit_show bystander.service MainPID)

	unit_start victim.service --property=MemoryMax=64M --property=MemorySwapMax=0 \
		-- perl -e "$GROW"
	wait_for 60 unit_is victim.service failed

	assert_eq "result of the victim" "$(unit_show victim.service Result)" oom-kill
	assert journal_has 'Memory cgroup out of memory: Killed process [0-9]+ \(perl\)' \
		--dmesg
	assert_eq "state of the bystander" \
		"$(unit_show bystander.service ActiveState)" active
	assert_eq "process of the bystander" \
		"$(unit_show bystander.service MainPID)" "$bystander_pid"
	assert_eq "OOM kills in the bystander" \
		"$(cgroup_key "$(unit_cgroup bystander.service)" memory.events oom_kill)" 0
}

run_testcases
