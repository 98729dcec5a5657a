#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Memory in transparent huge pages. A release of a heap in them lowers the charge, not the
# resident set alone, and leaves the group's file cache; parts that a program frees by itself
# are held, which is no usage, and the kernel takes them at the limit and kills nobody. What
# the kernel makes huge again is told.
# timeout: 400

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra verdict-subject

WATCHED=(--setenv=LD_PRELOAD=libmemguard-hook.so --setenv=MEMGUARD_AGENT=always)
CONF=/etc/memguard/memguard.conf.d/huge.conf
MIB=1048576

is_member()
{
	grep -q verdict-subject <<<"$(memguardctl --json=short list "$1" 2>/dev/null)"
}

# subject UNIT MODE MAX : its input is /run/UNIT.in, which has no end.
subject()
{
	mkfifo "/run/$1.in"
	unit_start "$1" "${WATCHED[@]}" --property=MemoryMax="$3" --property=MemorySwapMax=0 \
		-- sh -c "exec '$EXTRA/verdict-subject' $2 <>/run/$1.in"
	wait_for 120 journal_has 'ready|cannot' --unit="$1"
	assert journal_has ready --unit="$1"
	wait_for 60 is_member "$1"
}

charge()
{
	cat "$(unit_cgroup "$1")/memory.current"
}

# number UNIT KEY : of the group, on a new look.
number()
{
	memguardctl --json=short explain "$1" | grep -oE "\"$2\":[0-9]+" | head -n 1 | cut -d: -f2
}

holds()
{
	[[ $(number "$1" held_bytes) -gt $2 ]]
}

has_steps()
{
	[[ $(journal --unit="$1" | grep -cx step) -ge $2 ]]
}

testcase_1_huge_pages_are_there()
{
	[[ -e /sys/kernel/mm/transparent_hugepage/enabled ]] || skip "no transparent huge pages"
	cat /sys/kernel/mm/transparent_hugepage/enabled
	echo always >/sys/kernel/mm/transparent_hugepage/enabled
	# Whether khugepaged comes by in between is nobody's claim here.
	echo 0 >/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none
	mkdir -p "${CONF%/*}"
	printf '[Trigger]\nRetainedHigh=0\nPressureSome=0\nMachinePressureSome=0\nOomEtaSec=0\n' >$CONF
	assert systemctl start memguard.socket memguard-control.socket memguard.service
}

# released METHOD : the charge of a heap in huge pages, by that.
released()
{
	local unit=huge-$1.service cache

	dd if=/dev/zero of=/var/tmp/huge.file bs=1M count=32 conv=fsync status=none
	subject "$unit" huge 400M
	# Its file cache: read by a process of the group.
	(echo "$BASHPID" >"$(unit_cgroup "$unit")/cgroup.procs" && echo 1 >/proc/sys/vm/drop_caches &&
		exec cat /var/tmp/huge.file /var/tmp/huge.file >/dev/null)
	cache=$(cgroup_key "$(unit_cgroup "$unit")" memory.stat file)
	memguardctl show "$unit" | grep 'in huge pages'
	echo "$unit: $(charge "$unit") bytes, $cache of them file cache"
	memguardctl --method="$1" trim "$unit"
	echo "$unit: $(charge "$unit") bytes, $(cgroup_key "$(unit_cgroup "$unit")" memory.stat file) of them file cache"
	(($(charge "$unit") - cache < 40 * MIB)) || fail "$(charge "$unit") bytes are charged after the release"
	(($(cgroup_key "$(unit_cgroup "$unit")" memory.stat file) >= cache)) || fail "file cache went"
	assert systemctl stop "$unit"
}

testcase_2_a_full_release_lowers_the_charge()
{
	released full
}

testcase_3_borrowing_does_so_too()
{
	released borrow
}

testcase_4_what_a_program_frees_itself_is_held_and_no_usage()
{
	subject parts.service parts 230M
	echo "$(charge parts.service) bytes are charged"
	(($(charge parts.service) > 190 * MIB)) || fail "only $(charge parts.service) bytes are charged"
	wait_for 60 holds parts.service $((180 * MIB))
	memguardctl explain parts.service
	(($(number parts.service anon_bytes) < 40 * MIB)) || fail "what is held counts as usage"
	assert_in "freed but still charged" "$(memguardctl explain parts.service)"
}

testcase_5_the_kernel_takes_it_at_the_limit_and_kills_nobody()
{
	local n

	for n in 1 2 3; do
		echo grow >/run/parts.service.in
		wait_for 120 has_steps parts.service $n
		echo "$n: $(charge parts.service) bytes, $(number parts.service held_bytes) held"
	done
	assert_eq "kills" "$(cgroup_key "$(unit_cgroup parts.service)" memory.events oom_kill)" 0
	assert_not holds parts.service $((2 * MIB))
	assert systemctl stop parts.service
}

shows_huge()
{
	memguardctl show "$1" | tee "/run/$1.shown" | grep 'in huge pages' || ! cat "/run/$1.shown"
}

charge_is_above()
{
	(($(charge "$1") > $2))
}

# A second round has the first looked at again before its minute is over.
testcase_6_what_khugepaged_fills_again_is_told()
{
	local khugepaged=/sys/kernel/mm/transparent_hugepage/khugepaged

	subject filled.service huge 400M
	# The hook splits where it has seen huge pages; it may be at another question of the daemon's.
	wait_for 60 shows_huge filled.service
	assert memguardctl trim filled.service
	echo 511 >$khugepaged/max_ptes_none
	echo 200 >$khugepaged/scan_sleep_millisecs
	wait_for 120 charge_is_above filled.service $((120 * MIB))
	echo 0 >$khugepaged/max_ptes_none
	assert memguardctl trim filled.service
	memguardctl history filled.service
	assert_in '"refilled":true' "$(memguardctl --json=short history filled.service)"
	assert systemctl stop filled.service
}

testcase_7_clean_up()
{
	rm -f $CONF /var/tmp/huge.file /run/*.service.in /run/*.service.shown
	assert systemctl stop memguard.service
}

run_testcases
