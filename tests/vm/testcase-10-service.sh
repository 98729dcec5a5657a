#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main job on a real system: an unchanged Tokio service under MemoryMax= is killed
# without memguard and survives with it, while a bystander notices nothing.
# timeout: 840

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra webreport

UNIT=webreport.service
URL=http://127.0.0.1:8080
ROUNDS=6

# Another kind of report in each round: between what remains of small blocks large ones do
# not fit, which is how the heap ratchets.
KINDS=(orders pictures scans)
SIZE=56

write_unit()
{
	cat >"/etc/systemd/system/$UNIT" <<-EOF2
		[Unit]
		Description=Web reports

		[Service]
		ExecStart=$EXTRA/webreport 127.0.0.1:8080
		MemoryMax=600M
		MemorySwapMax=0
		Restart=no
	EOF2
	echo "$UNIT" >>"$UNITS"
	systemctl daemon-reload
}

answers()
{
	curl --silent --fail --max-time 20 --output /dev/null "$URL/"
}

start_service()
{
	systemctl reset-failed "$UNIT" 2>/dev/null || true
	systemctl restart "$UNIT"
	wait_for 60 answers
}

usage_mib()
{
	local bytes

	bytes=$(cat "$(unit_cgroup "$UNIT")/memory.current" 2>/dev/null) || bytes=0
	echo $((bytes / 1048576))
}

# burst ROUND - four reports at once; a killed service answers nobody, which the caller finds out.
burst()
{
	local pids=() pid path

	path="/report?kind=${KINDS[$((($1 - 1) % ${#KINDS[@]}))]}&size=$SIZE"

	for _ in 1 2 3 4; do
		curl --silent --max-time 120 --output /dev/null "$URL$path" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || true
	done
}

rounds()
{
	local i

	for ((i = 1; i <= ROUNDS; i++)); do
		burst "$i"
		echo "round $i: $(usage_mib) MiB, $(unit_show "$UNIT" ActiveState)"
		unit_is "$UNIT" active || return 0
		quiet_after_burst
	done
}

# The pause between bursts: until usage has fallen, or at most as long as a real one.
quiet_after_burst()
{
	local end=$((SECONDS + 20))

	while ((SECONDS < end)) && (($(usage_mib) > 200)); do
		sleep 0.5
	done
	echo "         then $(usage_mib) MiB"
}

testcase_1_without_memguard_it_is_killed()
{
	write_unit
	start_service
	rounds
	assert_eq "result without memguard" "$(unit_show "$UNIT" Result)" oom-kill
}

testcase_2_enable_is_one_command()
{
	assert systemctl enable --now memguard
	assert systemctl is-active --quiet memguard.service memguard.socket memguard-control.socket
	assert memguardctl status
	assert_eq "user of the daemon" "$(unit_show memguard.service User)" memguard
}

testcase_3_with_memguard_it_survives()
{
	local bystander_pid

	unit_start bystander.service --property=MemoryMax=64M -- sleep infinity
	bystander_pid=$(unit_show bystander.service MainPID)

	assert memguardctl enable "$UNIT"
	assert test -e "/etc/systemd/system/$UNIT.d/50-memguard.conf"
	start_service
	wait_for 60 memguardctl --no-legend list "$UNIT"
	rounds

	assert_eq "state with memguard" "$(unit_show "$UNIT" ActiveState)" active
	assert_eq "OOM kills" "$(cgroup_key "$(unit_cgroup "$UNIT")" memory.events oom_kill)" 0
	assert answers
	memguardctl status
	memguardctl explain "$UNIT"
	memguardctl show "$UNIT"

	assert_eq "process of the bystander" \
		"$(unit_show bystander.service MainPID)" "$bystander_pid"
	assert_not memguardctl list bystander.service
}

testcase_4_the_journal_tells()
{
	wait_for 30 journal_has 'released [0-9.]+[KMG]' --unit=memguard.service
	journal --unit=memguard.service --output=verbose MEMGUARD_OUTCOME=released |
		grep -E 'MESSAGE_ID=|MEMGUARD_' || fail "no structured fields in the journal"
}

testcase_5_a_bad_file_changes_nothing()
{
	local before after

	before=$(memguardctl --json=short config)
	mkdir -p /etc/memguard/memguard.conf.d
	printf '[Trigger]\nUsageHigh=80%%\nUsagehihg=70%%\n' >/etc/memguard/memguard.conf.d/bad.conf

	assert_not systemctl reload memguard
	assert journal_has 'bad\.conf:3: .*Usagehihg' --unit=memguard.service
	assert_not memguardctl verify
	after=$(memguardctl --json=short config)
	assert_eq "settings after a bad reload" "$after" "$before"

	printf '[Trigger]\nUsageHigh=70%%\n' >/etc/memguard/memguard.conf.d/bad.conf
	assert systemctl reload memguard
	assert_in 70% "$(memguardctl config)"
	rm /etc/memguard/memguard.conf.d/bad.conf
	assert systemctl reload memguard
}

# Read by the user memguard, in its sandbox.
testcase_5_the_units_own_drop_in_counts()
{
	local dropin=/etc/systemd/system/$UNIT.d/override.conf

	printf '[Service]\nNice=0\n\n[X-Memguard]\nUsageHigh=75%%\n' >"$dropin"
	chmod 600 "$dropin"
	systemctl daemon-reload
	assert memguardctl reload
	# What systemd had to say of it came before.
	assert_not journal_has "override.conf.*X-Memguard"
	assert_in "\"file\":\"$dropin\",\"line\":5" "$(memguardctl --json=short config)"
	sed -i 's/75%/75/' "$dropin"
	assert_not systemctl reload memguard
	assert journal_has "override\.conf:5: UsageHigh=75 " --unit=memguard.service
	rm "$dropin"
	systemctl daemon-reload
	assert memguardctl reload
	assert_not grep -q override.conf <(memguardctl --json=short config)
}

testcase_6_the_manual_renders()
{
	local page

	for page in memguard memguardctl memguard.conf memguard-hook; do
		assert_in memguard "$(man --pager=cat "$page" 2>&1)"
	done
}

testcase_7_disable_leaves_no_trace()
{
	assert memguardctl disable "$UNIT"
	assert_not test -e "/etc/systemd/system/$UNIT.d"
	start_service
	assert_not grep -q memguard "/proc/$(unit_show "$UNIT" MainPID)/maps"
	systemctl stop "$UNIT"
	rm "/etc/systemd/system/$UNIT"
	systemctl daemon-reload
}

testcase_8_a_restart_finds_the_members_again()
{
	assert systemctl restart memguard
	assert systemctl is-active --quiet memguard.service
	assert memguardctl status
	assert systemctl disable --now memguard
	assert_not systemctl is-active --quiet memguard.service
}

run_testcases
