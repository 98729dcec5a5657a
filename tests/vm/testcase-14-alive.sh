#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Under the sandbox of the unit: what a crisis needs is allowed; near a kill the command of Exec=
# runs, started by the helper; a journal that is stopped holds nothing up.
# timeout: 500

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard

UNIT=hog.service
COMMAND=/usr/local/bin/memguard-test-command
DROPIN=/etc/memguard/memguard.conf.d/exec.conf

cleanup()
{
	rm -f "$COMMAND" "$DROPIN"
	stop_units
}
trap cleanup EXIT

helper()
{
	pgrep -P "$(unit_show memguard.service MainPID)" -x memguard-helper
}

nice_of()
{
	awk '{ sub(/^.*\) /, ""); print $17 }' "/proc/$1/stat"
}

# 0: ordinary, 2: SCHED_RR.
policy_of()
{
	awk '{ sub(/^.*\) /, ""); print $39 }' "/proc/$1/stat"
}

# As of the daemon where the kernel does not know of it.
session_nice_of()
{
	awk '{ print $3 }' "/proc/$1/autogroup" 2>/dev/null || nice_of "$1"
}

testcase_1_the_start_says_that_nothing_is_denied()
{
	cat >"$COMMAND" <<-'EOF2'
		#!/bin/sh
		echo "the command: $MEMGUARD_UNIT $MEMGUARD_TRIGGER $(id -un) $(cat /proc/self/oom_score_adj)" >&2
		exit 3
	EOF2
	chmod 755 "$COMMAND"
	mkdir -p "${DROPIN%/*}"
	printf '[Trigger]\nUsageHigh=50%%\nUsageCritical=60%%\n[Alert]\nExec=%s\n' "$COMMAND" >"$DROPIN"
	assert systemctl restart memguard
	assert_not journal_has 'Cannot ' --unit=memguard.service
	assert helper
	grep -E '^(VmRSS|VmLck)' "/proc/$(helper)/status"
	assert_eq "the daemon's nice value" "$(nice_of "$(unit_show memguard.service MainPID)")" -20
	assert_eq "and that of what it starts" "$(nice_of "$(helper)")" 0
	assert_eq "it is scheduled in real time" "$(policy_of "$(unit_show memguard.service MainPID)")" 2
	assert_eq "and what it starts is not" "$(policy_of "$(helper)")" 0
	assert_eq "its session's, where there is such a thing" \
		"$(session_nice_of "$(unit_show memguard.service MainPID)")" -20
}

testcase_2_the_command_runs_near_a_kill()
{
	# What tail holds is no hooked process's: it stays.
	unit_start "$UNIT" --property=MemoryMax=80M --property=MemorySwapMax=0 \
		--setenv=LD_PRELOAD=libmemguard-hook.so -- \
		sh -c '(head -c 60M /dev/zero; sleep 600) | tail -c 60M'
	wait_for 120 journal_has "the command: $UNIT usage-critical memguard 0" --unit=memguard.service
	wait_for 30 journal_has "The Exec= command .* for $UNIT exited with status 3" \
		--unit=memguard.service
}

testcase_3_a_helper_that_is_killed_is_replaced()
{
	local old

	old=$(helper)
	kill -9 "$old"
	wait_for 60 journal_has 'There is a helper again' --unit=memguard.service
	assert test "$(helper)" != "$old"
}

testcase_4_without_a_command_there_is_none()
{
	rm "$DROPIN"
	assert systemctl reload memguard
	wait_for 30 eval '! helper'
}

entries_lost()
{
	memguardctl --json=short status | grep -oE '"journal_entries_lost":[0-9]+' | cut -d: -f2
}

testcase_5_a_journal_that_is_stopped_holds_nothing_up()
{
	local pid i journald fillers=()

	pid=$(unit_show memguard.service MainPID)
	journald=$(unit_show systemd-journald.service MainPID)
	kill -STOP "$journald"
	# Until its queue is full, where these wait; each of them may have half of it under way.
	for i in 1 2 3 4; do
		logger --socket /run/systemd/journal/socket < <(seq 5000) &
		fillers+=($!)
	done
	for ((i = 0; i < 20 && $(entries_lost) == 0; i++)); do
		timeout 60 memguardctl trim "$UNIT" >/dev/null || true
	done
	kill -CONT "$journald"
	kill "${fillers[@]}" 2>/dev/null || true
	wait "${fillers[@]}" || true
	assert test "$(entries_lost)" -gt 0
	assert_eq "process of the daemon" "$(unit_show memguard.service MainPID)" "$pid"

	assert memguardctl trim "$UNIT"
	wait_for 30 journal_has "$UNIT: (released|asked)" --unit=memguard.service
	assert systemctl stop memguard
}

run_testcases
