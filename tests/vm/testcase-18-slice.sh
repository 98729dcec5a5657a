#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Three services in a slice that alone has a limit, none of them near it by itself: who retains
# is asked, the warning names the slice, once for all three, and nobody is killed. What the kernel
# kills there after all is told, though it was in none of them.
# timeout: 400

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer

SLICE=slicetest.slice
CONF=/etc/memguard/memguard.conf.d/slice.conf

# start NAME MIB [ARGUMENT...] - a retainer in the slice
start()
{
	unit_start "$1.service" --slice=$SLICE --setenv=LD_PRELOAD=libmemguard-hook.so \
		--setenv=MEMGUARD_AGENT=always -- \
		/bin/sh -c "exec $EXTRA/retainer ${*:2} <>/run/subject"
	wait_for 60 has_members "$1.service"
}

slice_mib()
{
	echo $(($(cat "/sys/fs/cgroup/$SLICE/memory.current") / 1048576))
}

# tellers TEXT - the units of whom there was such an entry
tellers()
{
	journal --unit=memguard.service | sed -n "s/^\([a-z]*\.service\): $1.*/\1/p"
}

is_told()
{
	[[ -n $(tellers "$1") ]]
}

testcase_1_who_retains_is_asked()
{
	[[ -p /run/subject ]] || mkfifo /run/subject
	echo "$SLICE" >>"$UNITS"
	printf '%s\n' '[Slice]' MemoryMax=400M MemorySwapMax=0 >"/run/systemd/system/$SLICE"
	systemctl daemon-reload
	mkdir -p "${CONF%/*}"
	# Not while it is calm, and not for the pace of this machine.
	printf '%s\n' '[Trigger]' RetainedHigh=0 OomEtaSec=0 PressureSome=0 MachinePressureSome=0 >$CONF
	assert systemctl start memguard.socket memguard-control.socket memguard.service
	start one 60 2
	start two 160 2 hold
	wait_for 60 eval '(($(slice_mib) > 200))'
	assert_not journal_has 'service: released' --unit=memguard.service
	start three 110 2 hold
	wait_for 60 journal_has 'one\.service: released [0-9.]+M' --unit=memguard.service
	wait_for 60 eval '(($(slice_mib) < 300))'
	assert_in "it is that of /$SLICE" "$(memguardctl explain one.service | tr -s ' \n' '  ')"
}

testcase_2_one_of_them_warns_for_all()
{
	assert systemctl set-property --runtime $SLICE MemoryMax=290M
	wait_for 60 is_told "usage stays above UsageCritical="
	assert journal_has "two\.service: .*the limit of /$SLICE, where others have" \
		--unit=memguard.service
	assert_eq "who warns" "$(tellers "usage stays above UsageCritical=")" two.service
	assert_eq "kills" "$(cgroup_key "/sys/fs/cgroup/$SLICE" memory.events oom_kill)" 0
}

testcase_3_a_kill_beside_them_is_told()
{
	# Not one of them: it takes what is left, and is the first to go.
	unit_start greedy.service --slice=$SLICE --property=OOMScoreAdjust=1000 -- tail /dev/zero
	wait_for 60 is_told "the kernel's OOM killer ended 1 process"
	assert journal_has "beside it, for the limit of /$SLICE" --unit=memguard.service
	for unit in one two three; do
		wait_for 60 eval '[[ $(memguardctl --json=short explain $unit.service) == *\"shared_oom_kills\":1* ]]'
	done
	assert_eq "alerts" "$(tellers "the kernel's OOM killer" | wc -l)" 1
	assert_in "\"name\":\"/$SLICE\"" "$(memguardctl --json=short history)"
	for unit in one two three; do
		assert unit_is $unit.service active
	done
	assert systemctl stop memguard.service memguard.socket memguard-control.socket
	rm "/run/systemd/system/$SLICE" $CONF
}

run_testcases
