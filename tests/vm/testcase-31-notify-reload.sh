#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The units of "configure --with-notify-reload" under a systemd that knows them: a reload is over
# when the new settings are in force, however it is asked for and whatever else goes on, and the
# unit is never left reloading. Of a bad file nothing comes but words.
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra notify-reload
VERSION=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
((VERSION >= 253)) || skip "systemd $VERSION does not know Type=notify-reload"

UNIT=memguard.service
OVER=/etc/systemd
CONF=/etc/memguard/memguard.conf.d/reload.conf
DROPIN=/run/systemd/system/memguard.service.d
STATE=$(mktemp -d)

cleanup()
{
	freeze 0 2>/dev/null || true
	rm -rf "$OVER"/{system,user}/$UNIT "$CONF" "$DROPIN"
	systemctl daemon-reload
	stop_units
}
trap cleanup EXIT

# set_high PERCENT - in the file only.
set_high()
{
	printf '[Trigger]\nUsageHigh=%s%%\nUsageCritical=97%%\n' "$1" >"$CONF"
}

# has_high PERCENT [COMMAND...] - in force, by the daemon's word; of another daemon with that before it.
has_high()
{
	grep -qE "UsageHigh +$1% .*$CONF" <<<"$("${@:2}" memguardctl --no-legend ${2:+--user} config)"
}

# state - of the unit, such as "active running", and whether anything is under way.
state()
{
	systemctl show --value -p ActiveState -p SubState -p Job $UNIT | tr -s '\n' ' '
}

rests()
{
	[[ $(state) == "active running " ]]
}

# sub_is SUBSTATE
sub_is()
{
	[[ $(unit_show $UNIT SubState) == "$1" ]]
}

n_loads()
{
	grep -c '^Configuration loaded' <<<"$(journal --unit=$UNIT)" || true
}

daemon_pid()
{
	unit_show $UNIT MainPID
}

# freeze 1|0 - a signal would not do: the manager sends SIGCONT behind its own.
freeze()
{
	echo "$1" >"$(unit_cgroup $UNIT)/cgroup.freeze"
}

# is_another PID - there is a daemon that is not that one.
is_another()
{
	[[ $(daemon_pid) != "$1" && $(daemon_pid) != 0 ]]
}

has_loaded()
{
	(($(n_loads) >= $1))
}

testcase_1_it_is_such_a_unit()
{
	mkdir -p "${CONF%/*}"
	set_high 61
	cp "$EXTRA/notify-reload/$UNIT" "$OVER/system/$UNIT"
	cp "$EXTRA/notify-reload/user/$UNIT" "$OVER/user/$UNIT"
	systemctl daemon-reload
	assert systemctl enable --now memguard
	systemctl show -p Type -p NotifyAccess -p ReloadSignal -p CanReload $UNIT
	assert_eq "its type" "$(unit_show $UNIT Type)" notify-reload
	assert_eq "whose word counts" "$(unit_show $UNIT NotifyAccess)" main
	assert_eq "what reloads it" "$(unit_show $UNIT ReloadSignal)$(unit_show $UNIT ExecReload)" 1
	assert_eq "its state" "$(state)" "active running "
	assert has_high 61
}

testcase_2_a_reload_ends_with_new_settings_in_force()
{
	local high pid

	pid=$(daemon_pid)
	for high in 62 63 64 65 66 67 68 69; do
		set_high $high
		assert systemctl reload memguard
		assert has_high $high
		assert_eq "state after reload $high" "$(state)" "active running "
	done
	assert_eq "its process" "$(daemon_pid)" "$pid"
}

testcase_3_it_is_waited_for()
{
	local waiter

	freeze 1
	set_high 70
	systemctl reload memguard &
	waiter=$!
	wait_for 60 sub_is reload-signal
	assert kill -0 $waiter
	assert_eq "its state" "$(unit_show $UNIT ActiveState)" reloading
	freeze 0
	assert wait $waiter
	assert has_high 70
	wait_for 60 rests
}

testcase_4_of_a_bad_file_there_are_words()
{
	local before

	before=$(memguardctl --json=short config)
	printf '[Trigger]\nUsageHigh=80%%\nUsagehihg=70%%\n' >"$CONF"
	# As it is documented: nobody waits for a result.
	assert systemctl reload memguard
	assert_eq "settings" "$(memguardctl --json=short config)" "$before"
	assert journal_has 'reload\.conf:3: .*Usagehihg' --unit=$UNIT
	assert_in "reload.conf:3: " "$(memguardctl status)"
	assert_eq "its state" "$(state)" "active running "
	assert_refused "reload.conf:3: " memguardctl reload
	wait_for 60 rests

	set_high 71
	assert systemctl reload memguard
	assert has_high 71
	assert_not grep -q "reload\.conf" <<<"$(memguardctl status)"
}

testcase_5_whoever_else_is_served_or_reloads()
{
	local high pids=() before

	before=$(n_loads)
	unit_start hammer.service -- bash -c 'while memguardctl status >/dev/null; do :; done'
	unit_start other.service -- bash -c 'while memguardctl reload >/dev/null; do :; done'
	wait_for 60 has_loaded $((before + 4))
	for high in 72 73 74 75; do
		set_high $high
		assert systemctl reload memguard
		assert has_high $high
	done
	assert unit_is other.service active
	assert systemctl stop other.service
	# By several at once, which may be one reload to the manager, and by hand.
	set_high 76
	for _ in 1 2 3 4; do
		systemctl reload memguard &
		pids+=($!)
		systemctl kill --signal=HUP $UNIT
	done
	for pid in "${pids[@]}"; do
		assert wait "$pid"
	done
	assert has_high 76
	wait_for 60 rests
	assert unit_is hammer.service active
	assert systemctl stop hammer.service
}

# When it comes while the unit starts; and as the first that the daemon hears.
testcase_6_while_it_starts()
{
	local i pid

	mkdir -p "$DROPIN"
	mkfifo -m 666 "$STATE/go"
	chmod 755 "$STATE"
	printf '%s\n' '[Service]' PrivateTmp=no "ExecStartPre=/bin/sh -c 'read go <$STATE/go'" \
		>"$DROPIN/wait.conf"
	systemctl daemon-reload
	assert systemctl stop $UNIT
	systemctl start --no-block memguard
	wait_for 60 sub_is start-pre
	set_high 77
	assert systemctl reload --no-block memguard
	echo go >"$STATE/go"
	wait_for 60 rests
	assert has_high 77
	rm -r "$DROPIN"
	systemctl daemon-reload

	for i in 1 2 3; do
		pid=$(daemon_pid)
		systemctl restart --no-block memguard
		# It may be too early for that, and ends it: then it is started again.
		wait_for 60 is_another "$pid"
		systemctl kill --signal=HUP $UNIT
		wait_for 60 rests
		set_high $((77 + i))
		assert systemctl reload memguard
		assert has_high $((77 + i))
	done
}

testcase_7_restarted_and_killed_in_the_middle_of_one()
{
	local pid

	set_high 81
	assert systemctl restart memguard
	assert has_high 81
	assert_eq "its state" "$(state)" "active running "

	pid=$(daemon_pid)
	freeze 1
	systemctl reload --no-block memguard
	wait_for 60 sub_is reload-signal
	kill -KILL "$pid"
	wait_for 60 rests
	assert_not test "$(daemon_pid)" = "$pid"
	set_high 82
	assert systemctl reload memguard
	assert has_high 82
	assert_eq "its state" "$(state)" "active running "
}

dora()
{
	runuser -u dora -- env XDG_RUNTIME_DIR=/run/user/2004 "$@"
}

testcase_8_a_users_own()
{
	local high

	systemd-sysusers --inline 'u dora 2004 "Dora" /run/dora /bin/bash'
	mkdir /run/dora
	chown dora: /run/dora
	assert loginctl enable-linger dora
	wait_for 120 test -S /run/user/2004/systemd/private
	assert dora systemctl --user start memguard
	assert_eq "its type" "$(dora systemctl --user show --value -p Type memguard)" notify-reload
	for high in 83 84; do
		set_high $high
		assert dora systemctl --user reload memguard
		assert has_high $high dora
		assert_eq "its state" "$(dora systemctl --user show --value -p SubState memguard)" running
	done
	assert loginctl terminate-user dora
	loginctl disable-linger dora
	assert systemctl disable --now memguard memguard.socket memguard-control.socket
}

run_testcases
