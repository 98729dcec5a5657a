#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The whole machine runs out of memory while memguard itself may use 10 MiB and no swap: the
# kernel kills the program that grows, memguard survives and has recorded both its own try
# and the kill, and a bystander notices nothing. Then the clock is set back, and the system
# bus goes and comes back.
# timeout: 900

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard

DROPIN=/etc/systemd/system/memguard.service.d/10-tight.conf
PIDS=$(mktemp -d)

# Grows without end, a touched MiB at a time; each piece beyond malloc's mmap threshold.
# shellcheck disable=SC2016 # perl's variables
GROW='my @held; while (1) { push @held, "x" x 1048576; }'

memguard_pid()
{
	unit_show memguard.service MainPID
}

is_member()
{
	memguardctl --no-legend list "$1" >/dev/null 2>&1
}

# Every process of the unit is a member; the shell stays, so that its group does, too.
start_victim()
{
	unit_start victim.service --property=OOMScoreAdjust=1000 --property=OOMPolicy=continue \
		--property=MemorySwapMax=0 --setenv=LD_PRELOAD=libmemguard-hook.so \
		--setenv=MEMGUARD_AGENT=always \
		-- sh -c "read -r go <$PIDS/go; perl -e '$GROW'; exec sleep infinity"
}

testcase_1_a_tight_limit_for_memguard()
{
	mkdir -p "${DROPIN%/*}"
	printf '[Service]\nMemoryMax=10M\nMemorySwapMax=0\n' >"$DROPIN"
	systemctl daemon-reload
	assert systemctl enable --now memguard
	assert_eq "its limit" "$(unit_show memguard.service MemoryMax)" 10485760
	assert memguardctl status
	memguard_pid >"$PIDS/memguard"
}

# Locked on fault: what it has touched once is never read back from a disk that thrashes.
testcase_2_its_memory_is_locked()
{
	local locked

	locked=$(awk '$1 == "VmLck:" { print $2 }' "/proc/$(memguard_pid)/status")
	echo "$locked KiB are locked"
	((locked > 0)) || fail "memguardd has locked no memory"
}

testcase_3_the_machine_runs_out_of_memory()
{
	mkfifo "$PIDS/go"
	unit_start bystander.service -- sleep infinity
	unit_show bystander.service MainPID >"$PIDS/bystander"
	start_victim
	wait_for 60 is_member victim.service
	echo go >"$PIDS/go"
	wait_for 300 journal_has 'Out of memory: Killed process [0-9]+ \(perl\)' --dmesg
}

testcase_4_memguard_and_the_bystander_live()
{
	assert_eq "memguard's process" "$(memguard_pid)" "$(cat "$PIDS/memguard")"
	assert_eq "OOM kills in memguard's group" \
		"$(cgroup_key "$(unit_cgroup memguard.service)" memory.events oom_kill)" 0
	assert memguardctl status
	assert_eq "the bystander's process" "$(unit_show bystander.service MainPID)" \
		"$(cat "$PIDS/bystander")"
	assert_eq "the bystander's state" "$(unit_show bystander.service ActiveState)" active
}

testcase_5_it_has_recorded_what_happened()
{
	# What it tried, and that the kernel was faster than the program could give back.
	wait_for 60 journal_has 'victim\.service: .*because usage is above' --unit=memguard.service
	wait_for 60 journal_has "victim\.service: .*OOM killer ended" --unit=memguard.service
	memguardctl explain victim.service
	echo "of 10 MiB it uses $(($(cat "$(unit_cgroup memguard.service)/memory.current") >> 10)) KiB"
}

n_rounds()
{
	memguardctl --json=short status | grep -o '"rounds": *[0-9]*' | head -1 | grep -o '[0-9]*$'
}

# Nothing but displayed times may go by the clock on the wall.
testcase_6_the_clock_may_jump()
{
	local now rounds

	rounds=$(n_rounds)
	now=$(date +%s)
	date -s "@$((now - 100000))" >/dev/null
	assert memguardctl trim victim.service
	date -s "@$((now + 100000))" >/dev/null
	assert memguardctl trim victim.service
	assert memguardctl status
	date -s "@$((now + 10))" >/dev/null
	assert_eq "rounds" "$(n_rounds)" $((rounds + 2))
	assert_eq "memguard's process" "$(memguard_pid)" "$(cat "$PIDS/memguard")"
}

has_name()
{
	busctl --system status org.memguard.Manager1 >/dev/null 2>&1
}

testcase_7_the_system_bus_may_go()
{
	systemctl is-active --quiet dbus.service || skip "there is no system bus in this VM"
	wait_for 60 has_name
	systemctl restart dbus.service
	# That of systemd 257 never looks for the new bus, and then nobody can log in.
	systemctl try-restart systemd-logind.service
	assert memguardctl trim victim.service
	wait_for 120 has_name
	assert_eq "memguard's process" "$(memguard_pid)" "$(cat "$PIDS/memguard")"
	rm -r "${DROPIN%/*}"
	systemctl daemon-reload
	systemctl disable --now memguard
}

run_testcases
