#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The Debian packages over what is installed, again with members that live, and purged: the
# members stay whatever happens, are guarded as long as somebody guards, and nothing is left (row 49
# of the hazards).
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer
compgen -G "$EXTRA/memguard*.deb" >/dev/null || skip "no packages in the directory given with --extra"

STATE=$(mktemp -d)

main_pids()
{
	systemctl show --value -p MainPID one two
}

testcase_1_installed_it_runs()
{
	# What "make install" has put where packages put nothing.
	rm -f /usr/share/man/man?/memguard*
	dpkg --force-confnew -i "$EXTRA"/memguard*.deb
	assert systemctl is-active --quiet memguard.service memguard.socket memguard-control.socket
	assert systemctl is-enabled --quiet memguard.service memguard.socket
	write_service one.service "ExecStart=$(subject_command)"
	write_service two.service "ExecStart=$(subject_command)"
	assert memguardctl enable one two
	systemctl start one two
	wait_for 120 has_members one.service
	wait_for 120 has_members two.service
	main_pids >"$STATE/pids"
	unit_show memguard.service MainPID >"$STATE/daemon"
}

# The same version again: to dpkg an upgrade like any other.
testcase_2_an_upgrade_leaves_members_alone()
{
	local since

	since=$(unit_show memguard.socket ActiveEnterTimestampMonotonic)
	dpkg -i "$EXTRA"/memguard*.deb
	assert_not test "$(unit_show memguard.service MainPID)" = "$(<"$STATE/daemon")"
	assert_eq "when the socket came up" "$(unit_show memguard.socket ActiveEnterTimestampMonotonic)" "$since"
	wait_for 120 has_members one.service
	wait_for 120 has_members two.service
	assert_eq "processes of the services" "$(main_pids)" "$(<"$STATE/pids")"
	assert releases memguardctl trim one
	assert_in "(deleted)" "$(grep memguard "/proc/$(unit_show one.service MainPID)/maps" | head -n 1)"
}

# Neither by the packages nor by a service that is guarded.
testcase_2b_disabled_it_stays_so()
{
	assert systemctl disable --now memguard memguard.socket memguard-control.socket
	dpkg -i "$EXTRA"/memguard*.deb
	assert systemctl restart two.service
	main_pids >"$STATE/pids"
	assert_not systemctl is-active memguard.service memguard.socket memguard-control.socket
	assert_not systemctl is-enabled memguard.service memguard.socket memguard-control.socket
	assert systemctl enable --now memguard
	wait_for 120 has_members one.service
	wait_for 120 has_members two.service
}

testcase_3_purged_nothing_is_left()
{
	mkdir -p /etc/memguard/memguard.conf.d
	echo '[Guard]' >/etc/memguard/memguard.conf.d/own.conf
	dpkg --purge memguard memguard-hook | tee "$STATE/purged"
	assert grep -qE 'systemctl try-restart.* one\.service.* two\.service' "$STATE/purged"
	assert_eq "processes of the services" "$(main_pids)" "$(<"$STATE/pids")"
	# The VM itself has the name in its disk's label and its own unit.
	assert_eq "files" "$(find /etc /run /usr /var/lib -xdev -name '*memguard*' \
		! -name '*memguard-test.service' ! -path '/var/lib/dpkg/*' \
		! -path '/run/udev/*' ! -path '/etc/initramfs-tools/*' | sort)" ""
}

# They, and what they start, start as if it had never been there.
testcase_4_services_restart_as_before()
{
	assert systemctl try-restart one.service two.service
	systemctl show -p DropInPaths -p Environment -p After one.service
	assert_not grep -q memguard <<<"$(systemctl show -p DropInPaths -p Environment -p After one.service)"
	assert_eq "does systemd read it anew" "$(unit_show one.service NeedDaemonReload)" no
	assert_not journal_has 'cannot be preloaded'
	assert_eq "units" "$(systemctl list-units --all --plain --no-legend 'memguard.*' 'memguard-control.*')" ""
	assert unit_is one.service active
	assert unit_is two.service active
}

run_testcases
