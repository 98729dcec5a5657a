#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Units of every type that carry processes are guarded by one command and a start, and the
# life of memguard.service itself: restarted, killed, disabled, it leaves them as they are.
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer

SUBJECT=$(subject_command)
STATE=$(mktemp -d)
SERVICES=(simple forking notify oneshot worker@one listener sliced)

write_units()
{
	write_service simple.service "ExecStart=$SUBJECT"
	write_service forking.service Type=forking "ExecStart=${SUBJECT/exec /} &'"
	sed -i "s|' &'|\& '|" /run/systemd/system/forking.service
	write_service notify.service Type=notify NotifyAccess=all \
		"ExecStart=${SUBJECT/exec /systemd-notify --ready; exec }"
	write_service oneshot.service Type=oneshot "ExecStart=$SUBJECT"
	write_service worker@.service "ExecStart=$SUBJECT"
	write_service listener.service "ExecStart=$SUBJECT"
	printf '[Socket]\nListenStream=127.0.0.1:7007\n' >/run/systemd/system/listener.socket
	write_service dynamic.service DynamicUser=yes "ExecStart=$SUBJECT"
	write_service sliced.service Slice=tight.slice "ExecStart=$SUBJECT"
	printf '[Slice]\nMemoryMax=200M\n' >/run/systemd/system/tight.slice
	printf '%s\n' listener.socket worker@one.service >>"$UNITS"
	systemctl daemon-reload
}

testcase_1_enable_takes_services()
{
	write_units
	chmod 666 /run/subject
	assert systemctl enable --now memguard
	assert memguardctl enable "${SERVICES[@]}"
	assert_in "dynamic.service has a system call filter (RestrictSUIDSGID=)" \
		"$(memguardctl enable dynamic 2>&1)"
	assert_in "worker@one.service" "$(systemctl show --value -p DropInPaths worker@one)"
}

testcase_2_what_cannot_be_enabled_is_named()
{
	assert_refused "is not a service" memguardctl enable tight.slice
	assert_refused "is not a service" memguardctl enable init.scope
	assert_refused "is not a service" memguardctl enable listener.socket
	assert_refused "is a template" memguardctl enable worker@.service
	assert_refused "no-such" memguardctl enable no-such.service
	assert_not test -e /etc/systemd/system/no-such.service.d
}

# By an alias the unit itself is enabled. Of systemctl edit's file the last word is, and heard.
testcase_2b_it_is_the_unit_that_systemd_starts()
{
	local override=/etc/systemd/system/sliced.service.d/override.conf

	ln -s sliced.service /run/systemd/system/nick.service
	systemctl daemon-reload
	assert_in "restart sliced.service" "$(memguardctl enable nick)"
	assert_not test -e /etc/systemd/system/nick.service.d
	printf '[Service]\nEnvironment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2\n' >"$override"
	systemctl daemon-reload
	assert_refused "to its LD_PRELOAD" memguardctl enable sliced
	rm "$override" /run/systemd/system/nick.service
	# As Debian has postgresql.service beside postgresql@15-main.service.
	write_service worker.service Type=oneshot RemainAfterExit=yes ExecStart=/bin/true
	assert_in "systemctl list-units 'worker*'" "$(memguardctl enable worker 2>&1)"
	assert memguardctl disable worker
	# What it preloaded by then would stay in the list.
	assert memguardctl disable sliced
	assert memguardctl enable sliced
}

testcase_3_services_of_every_type_are_members()
{
	local unit

	systemctl start simple forking notify worker@one dynamic sliced listener.socket
	systemctl start --no-block oneshot
	assert_not systemctl is-active --quiet listener.service
	timeout 30 bash -c 'exec 3<>/dev/tcp/127.0.0.1/7007'
	for unit in "${SERVICES[@]}"; do
		wait_for 120 has_members "${unit%.service}.service"
	done
	memguardctl list
	assert unit_is oneshot.service activating
	# Under a filter the hook keeps still, and it is said why nobody is there.
	assert systemctl is-active --quiet dynamic
	assert_refused "in a program with a system call filter" \
		memguardctl show "$(unit_show dynamic.service MainPID)"
	assert_refused "in a program with a system call filter" memguardctl explain dynamic
}

testcase_4_a_scope_is_guarded_by_its_environment()
{
	echo adhoc.scope >>"$UNITS"
	# shellcheck disable=SC2016 # expanded by the inner shell
	LD_PRELOAD=libmemguard-hook.so systemd-run --quiet --scope --unit=adhoc.scope \
		-p MemoryMax=150M sh -c '"$0"/retainer 40 2 <>/run/subject >/dev/null' "$EXTRA" &
	wait_for 120 has_members adhoc.scope
	assert_in '"limit_bytes":157286400' "$(memguardctl --json=short explain adhoc.scope)"
}

testcase_5_the_limit_of_a_slice_counts()
{
	assert_in '"limit_bytes":209715200' "$(memguardctl --json=short explain sliced)"
	assert systemctl set-property --runtime tight.slice MemoryMax=180M
	wait_for 120 eval 'grep -q "\"limit_bytes\":188743680" <<<"$(memguardctl --json=short explain sliced)"'
}

testcase_6_each_of_them_releases()
{
	local unit

	for unit in "${SERVICES[@]}" adhoc.scope; do
		[[ $unit == *.* ]] || unit+=.service
		assert releases memguardctl trim "$unit"
	done
	memguardctl history
}

all_members()
{
	local unit

	for unit in "${SERVICES[@]}" adhoc.scope; do
		[[ $unit == *.* ]] || unit+=.service
		members "$unit" | sed "s/^/$unit /"
	done
}

are_back()
{
	[[ $(all_members) == "$(<"$STATE/members")" ]]
}

# Same processes, and each of them is asked and gives.
testcase_7_a_restart_and_a_crash_find_them_again()
{
	local pid

	all_members >"$STATE/members"
	cat "$STATE/members"
	assert systemctl restart memguard
	wait_for 120 are_back
	assert memguardctl trim simple

	pid=$(unit_show memguard.service MainPID)
	kill -KILL "$pid"
	wait_for 120 are_back
	assert_not test "$pid" = "$(unit_show memguard.service MainPID)"
	assert memguardctl trim simple
	# What was there before the daemon is: the sockets have not been made anew.
	assert systemctl is-active --quiet memguard.socket memguard-control.socket
}

testcase_8_a_restarted_service_is_a_member_again()
{
	local pid

	pid=$(members simple.service)
	assert systemctl restart simple
	wait_for 120 has_members simple.service "$(unit_show simple.service MainPID)"
	assert_not has_members simple.service "$pid"
}

# It stops, nobody else does; and after "memguardctl disable" nothing of it is left.
testcase_9_without_the_daemon_they_go_on()
{
	local unit pid

	all_members >"$STATE/members"
	assert systemctl disable --now memguard memguard.socket memguard-control.socket
	assert_eq "what is left in /run" "$(find /run -path '/run/memguard/*')" ""
	assert_eq "what is left enabled" "$(find /etc/systemd/system -name '*memguard*.s*' \
		! -name 'memguard-test.*')" ""
	while read -r unit pid; do
		assert kill -0 "$pid"
		[[ $unit == oneshot.service ]] || assert unit_is "$unit" active
	done <"$STATE/members"

	# Who is still enabled, and is started again, does not bring it back.
	assert systemctl restart simple
	assert grep -q memguard "/proc/$(unit_show simple.service MainPID)/maps"
	assert_in "memguard.socket is inactive" "$(memguardctl enable simple 2>&1)"
	assert_not systemctl is-active memguard.service memguard.socket memguard-control.socket

	assert memguardctl disable "${SERVICES[@]}" dynamic
	assert_eq "drop-ins" "$(find /etc/systemd/system -name '50-memguard.conf')" ""
	systemctl restart simple
	assert_not grep -q memguard "/proc/$(unit_show simple.service MainPID)/maps"
}

run_testcases
