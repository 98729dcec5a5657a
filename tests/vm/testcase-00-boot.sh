#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The ground that the other testcases stand on: a booted systemd with a unified cgroup
# hierarchy, the memory controller and pressure information, and nothing broken.

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"

testcase_cgroup_is_unified()
{
	assert_eq "file system of /sys/fs/cgroup" "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs
	assert_in " memory " " $(</sys/fs/cgroup/cgroup.controllers) "
	assert_in " memory " " $(</sys/fs/cgroup/cgroup.subtree_control) "
}

testcase_pressure_is_readable()
{
	local pressure

	pressure=$(</proc/pressure/memory)
	assert_in "some avg10=" "$pressure"
	assert_in "full avg10=" "$pressure"
	assert_in "some avg10=" "$(</sys/fs/cgroup/system.slice/memory.pressure)"
}

testcase_system_is_running()
{
	systemctl --no-pager --failed
	assert_eq "failed units" "$(systemctl --failed --no-legend --plain)" ""
	assert_eq "state of the system" "$(systemctl is-system-running)" running
}

testcase_loopback_is_up()
{
	assert_in "127.0.0.1" "$(ip -4 address show dev lo up)"
}

testcase_bus_answers()
{
	assert busctl --quiet call org.freedesktop.DBus /org/freedesktop/DBus \
		org.freedesktop.DBus GetId
}

run_testcases
