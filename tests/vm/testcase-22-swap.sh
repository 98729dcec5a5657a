#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs whose memory is swapped out: one that uses it is told to be healthy and to be swapped
# out; one that has freed it is told that the swap is held in vain, and a release gives that back. With
# MemoryReclaim= the kernel swaps out what a release cannot give, before the limit is reached.
# timeout: 500

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra verdict-subject

WATCHED=(--setenv=LD_PRELOAD=libmemguard-hook.so --setenv=MEMGUARD_AGENT=always)
SWAP=/var/tmp/swap

swap_bytes()
{
	cat "$(unit_cgroup "$1")/memory.swap.current"
}

is_member()
{
	grep -q verdict-subject <<<"$(memguardctl --json=short list "$1" 2>/dev/null)"
}

# subject UNIT MODE : it ends with its input, which stays open for as long as the unit.
subject()
{
	unit_start "$1" "${WATCHED[@]}" -- sh -c "sleep infinity | '$EXTRA/verdict-subject' $2"
	wait_for 120 journal_has ready --unit="$1"
	wait_for 60 is_member "$1"
}

testcase_1_there_is_swap()
{
	dd if=/dev/zero of=$SWAP bs=1M count=224 status=none
	chmod 600 $SWAP
	mkswap -q $SWAP
	assert swapon $SWAP
	mkdir -p /etc/memguard/memguard.conf.d
	printf '[Trigger]\nRetainedHigh=0\nPressureSome=0\nMachinePressureSome=0\nOomEtaSec=0\n' \
		>/etc/memguard/memguard.conf.d/swap.conf
	assert systemctl start memguard.socket memguard-control.socket memguard.service
}

testcase_2_used_and_swapped_out_is_healthy_and_told()
{
	subject used.service pageout
	(($(swap_bytes used.service) > 100000000)) || fail "only $(swap_bytes used.service) bytes are swapped out"
	memguardctl diagnose used.service
	assert_in '"verdict":"healthy"' "$(memguardctl --json=short diagnose used.service)"
	assert_in "are swapped out" "$(memguardctl diagnose used.service)"
	assert systemctl stop used.service
}

testcase_3_a_release_gives_back_swap_without_reading_it()
{
	local before

	subject freed.service burst
	echo 300M >"$(unit_cgroup freed.service)/memory.reclaim" || true
	before=$(swap_bytes freed.service)
	echo "$before bytes are swapped out"
	((before > 50000000)) || fail "only $before bytes are swapped out"
	memguardctl show freed.service
	assert_in '"verdict":"retained"' "$(memguardctl --json=short show freed.service)"
	assert_in "are free and swapped out" "$(memguardctl show freed.service)"
	assert memguardctl trim freed.service
	echo "$(swap_bytes freed.service) bytes are swapped out"
	(($(swap_bytes freed.service) < before / 4)) || fail "swap was not given back"
	assert systemctl stop freed.service
}

# reclaim_step UNIT KEY : of that step of the ladder.
reclaim_step()
{
	memguardctl --json=short explain "$1" |
		grep -o '"step":"reclaim"[^}]*' | grep -o "\"$2\":[^,]*" | cut -d: -f2- | tr -d '"'
}

is_held_by()
{
	[[ $(reclaim_step "$1" reason) == "$2" ]]
}

# tight UNIT OPTION... : uses 160M of 172M, none of which can be released.
tight()
{
	local unit=$1

	shift
	unit_start "$unit" "${WATCHED[@]}" --property=MemoryMax=172M "$@" -- \
		sh -c "sleep infinity | '$EXTRA/verdict-subject' steady"
	wait_for 120 journal_has ready --unit="$unit"
	wait_for 60 is_member "$unit"
}

testcase_4_unasked_nobody_swaps_out()
{
	tight unasked.service
	wait_for 60 journal_has 'unasked.service: usage stays above UsageCritical=' --identifier=memguardd
	assert_eq "its reason" "$(reclaim_step unasked.service reason)" off
	assert_eq "swapped out" "$(swap_bytes unasked.service)" 0
	assert systemctl stop unasked.service
}

testcase_5_asked_the_kernel_swaps_out()
{
	printf '[Trim]\nMemoryReclaim=64M\n' >>/etc/memguard/memguard.conf.d/swap.conf
	assert memguardctl reload
	tight tight.service
	wait_for 120 journal_has 'tight.service: had the kernel reclaim' --identifier=memguardd
	memguardctl explain tight.service
	(($(swap_bytes tight.service) > 8000000)) || fail "only $(swap_bytes tight.service) bytes are swapped out"
	(($(cat "$(unit_cgroup tight.service)/memory.current") < 172 * 1024 * 1024 * 92 / 100)) ||
		fail "it is critical as before"
	assert_eq "its reason" "$(reclaim_step tight.service reason)" below
	(($(reclaim_step tight.service this_hour) >= 1)) || fail "it was not counted"
	assert systemctl stop tight.service
}

testcase_6_without_swap_nothing_is_reclaimed()
{
	tight alone.service --property=MemorySwapMax=0
	wait_for 60 is_held_by alone.service no-swap
	assert_in "no swap left that it may use" "$(memguardctl explain alone.service)"
	assert_eq "times" "$(reclaim_step alone.service this_hour)" 0
	assert systemctl stop alone.service
}

testcase_7_clean_up()
{
	assert swapoff $SWAP
	rm $SWAP /etc/memguard/memguard.conf.d/swap.conf
	assert systemctl stop memguard.service
}

run_testcases
