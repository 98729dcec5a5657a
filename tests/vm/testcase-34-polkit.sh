#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What other users may have done, with polkit and the system bus as they are: nothing, until
# the administrator's rules say so; and nobody can be somebody else.
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer

RULES=/etc/polkit-1/rules.d/50-memguard.rules

has_name()
{
	busctl --system status org.memguard.Manager1 >/dev/null 2>&1
}

# as USER COMMAND... - output and errors
as()
{
	runuser -u "$1" -- "${@:2}" 2>&1
}

# refused USER VERB... - by memguardctl, and it says what to do
refused()
{
	assert_refused "Only root may do this: try with sudo" as "$1" memguardctl "${@:2}"
}

n_rounds()
{
	memguardctl --json=short status | grep -oE '"rounds":[0-9]+' | head -n 1
}

testcase_1_users_may_look_at_their_own()
{
	systemd-sysusers --inline 'u alice 2001 "Alice" /tmp /bin/bash' 'u bob 2002 "Bob" /tmp /bin/bash'
	assert systemctl enable --now memguard
	subject_command >/dev/null
	chmod 666 /run/subject
	for user in root alice; do
		unit_start "of-$user.service" --property=User="$user" \
			--setenv=LD_PRELOAD=libmemguard-hook.so -- /bin/sh -c \
			"$(subject_command | sed "s/.*-c '//; s/'\$//")"
		wait_for 120 has_members "of-$user.service"
	done
	wait_for 120 has_name
	assert systemctl start polkit

	assert_in of-alice "$(as alice memguardctl list)"
	assert_eq "what bob sees" "$(as bob memguardctl --json=short list)" "[]"
	assert_not as alice memguardctl show "$(members of-root.service)"
}

testcase_2_but_change_nothing()
{
	local before user

	before=$(n_rounds)
	for user in alice bob; do
		refused "$user" trim of-root.service
		refused "$user" tune of-root.service TopPad=1M
		refused "$user" reload
	done
	# No polkit is asked on the socket, but who it is is known all the same.
	assert_refused "Access denied" as alice busctl --address=unix:path=/run/memguard/bus call \
		org.memguard.Manager1 /org/memguard/Manager1 org.memguard.Manager1 Trim s \
		of-root.service
	assert_eq "rounds" "$(n_rounds)" "$before"
}

testcase_3_a_rule_allows()
{
	cat >"$RULES" <<-'RULE'
		polkit.addRule(function(action, subject) {
			if (action.id == "org.memguard.trim" && subject.user == "alice")
				return polkit.Result.YES;
		});
	RULE
	systemctl restart polkit
	assert releases as alice memguardctl trim of-root.service
	refused alice tune of-root.service TopPad=1M
	refused alice reload
	refused bob trim of-root.service
	rm "$RULES"
	systemctl restart polkit
	refused alice trim of-root.service
}

testcase_4_without_polkit_root_alone()
{
	systemctl mask --runtime --now polkit
	refused alice trim of-root.service
	assert memguardctl trim of-root.service
	systemctl unmask --runtime polkit
}

testcase_5_nobody_is_memguard()
{
	assert systemctl stop memguard.service
	assert_refused "ccess" as alice busctl --system call org.freedesktop.DBus \
		/org/freedesktop/DBus org.freedesktop.DBus RequestName su org.memguard.Manager1 0
	# A client asks whom it finds there, so nobody else may have made the sockets either.
	assert_not as alice rm -f /run/memguard/bus
	assert_not as alice touch /run/memguard/other
	assert systemctl start memguard.service
	wait_for 120 has_members of-root.service
	assert systemctl disable --now memguard memguard.socket memguard-control.socket
}

run_testcases
