#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A user's own memguardd by the user's own service manager.
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer

RUNTIME=/run/user/2003
DROPIN=/run/carol/.config/systemd/user/hers.service.d/50-memguard.conf

# carol COMMAND... - in what would be her session
carol()
{
	runuser -u carol -- env XDG_RUNTIME_DIR=$RUNTIME "$@"
}

carol_has_member()
{
	grep -qE "\"unit\":\"$1\"|$1" <<<"$(carol memguardctl --user --json=short list)"
}

# In the terms of the system's: one command, a restart, and it is guarded.
write_hers()
{
	mkdir -p /run/carol/.config/systemd/user
	printf '%s\n' '[Service]' "ExecStart=$(subject_command)" 'MemoryMax=200M' \
		>/run/carol/.config/systemd/user/hers.service
	chown -R carol: /run/carol
}

testcase_1_a_user_guards_her_own()
{
	systemd-sysusers --inline 'u carol 2003 "Carol" /run/carol /bin/bash'
	write_hers
	chmod 666 /run/subject
	assert loginctl enable-linger carol
	wait_for 120 test -S $RUNTIME/systemd/private
	assert carol systemctl --user enable --now memguard
	assert carol systemctl --user is-active memguard.service memguard.socket
	assert_refused "There is no his.service: \"systemctl --user" carol memguardctl --user enable his
	assert_refused "memguardctl --user enable" carol memguardctl enable hers
	# Hers, and root's hand is not wanted in it.
	assert_refused "without sudo" env XDG_RUNTIME_DIR=$RUNTIME memguardctl --user enable hers
	assert_in "systemctl --user restart hers.service" "$(carol memguardctl --user enable hers)"
	assert_eq "drop-in's owner" "$(stat -c %U "$DROPIN")" carol
	assert_not test -e /etc/systemd/system/hers.service.d
	assert carol systemctl --user start hers
	wait_for 120 carol_has_member hers.service
	carol memguardctl --user status
	carol memguardctl --user list
	assert_in '"limit_bytes":209715200' "$(carol memguardctl --user --json=short explain hers)"
	assert releases carol memguardctl --user trim hers
}

testcase_2_her_daemon_is_reloaded_and_restarted()
{
	assert carol systemctl --user reload memguard
	assert carol systemctl --user restart memguard
	wait_for 120 carol_has_member hers.service
	assert carol memguardctl --user trim hers
	assert carol systemctl --user disable --now memguard memguard.socket memguard-control.socket
	assert carol systemctl --user is-active hers.service
	assert carol memguardctl --user disable hers
	assert_not test -e "${DROPIN%/*}"
	assert carol systemctl --user restart hers
	assert_not grep -q memguard \
		"/proc/$(carol systemctl --user show --value -p MainPID hers)/maps"
	assert loginctl terminate-user carol
	loginctl disable-linger carol
}

run_testcases
