#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# cgroup v2 under systemd: every signal of that kernel is in force inside the daemon's sandbox,
# limits that change are seen, and a process that is moved is followed.
# timeout: 400

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard

WATCHED=(--setenv=LD_PRELOAD=libmemguard-hook.so --setenv=MEMGUARD_AGENT=always)

# signal NAME KEY
signal()
{
	memguardctl --json=short status | grep -oE "\"$1\":\{[^}]*\}" | grep -oE "\"$2\":[0-9]+" |
		cut -d: -f2
}

is_armed()
{
	(($(signal "$1" armed) >= 1)) && (($(signal "$1" failed) == 0))
}

# limit UNIT - that the daemon goes by: the first one, the second is its last outcome's
has_limit()
{
	[[ $(memguardctl --json=short explain "$1" | grep -oE '"limit_bytes":[0-9]+' | head -n 1) == \
		"\"limit_bytes\":$2" ]]
}

is_member()
{
	grep -qE "\"pid\":$2[,}]" <<<"$(memguardctl --json=short list "$1" 2>/dev/null)"
}

testcase_1_every_signal_is_in_force()
{
	assert systemctl start memguard.socket memguard-control.socket memguard.service
	unit_start one.service --property=MemoryMax=200M "${WATCHED[@]}" -- sleep infinity
	unit_start two.service --property=MemoryMax=300M -- sleep infinity
	wait_for 60 is_member one.service "$(unit_show one.service MainPID)"
	memguardctl status

	wait_for 30 is_armed memory_events
	wait_for 30 is_armed group_pressure
	wait_for 30 is_armed machine_pressure
	assert_eq "thresholds of v1" "$(signal usage_threshold armed)" 0
	assert_in unified "$(memguardctl --json=short status)"
}

testcase_2_limits_that_change_are_seen()
{
	wait_for 60 has_limit one.service 209715200
	assert systemctl service-log-level memguard.service debug
	assert systemctl set-property --runtime one.service MemoryMax=150M
	wait_for 60 has_limit one.service 157286400
	wait_for 30 journal_has 'A limit of ".*/one\.service" was written' --unit=memguard.service
	assert systemctl service-log-level memguard.service info
	assert systemctl set-property --runtime one.service MemoryMax=infinity
	wait_for 60 eval '! has_limit one.service 157286400'
}

testcase_3_a_moved_process_is_followed()
{
	local pid

	pid=$(unit_show one.service MainPID)
	echo "$pid" >"$(unit_cgroup two.service)/cgroup.procs"
	wait_for 60 is_member two.service "$pid"
	assert_not is_member one.service "$pid"
}

testcase_4_a_decision_is_recorded()
{
	assert_in "expect.act = no" "$(memguardctl record two.service)"
	assert systemctl stop memguard.service memguard.socket memguard-control.socket
}

run_testcases
