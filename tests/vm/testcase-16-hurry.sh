#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A round that gives way, with a real kill: a service that grows while it is borrowed from
# (chased.c) is killed by the kernel where nobody releases anything, and where nothing but
# borrowing is allowed; it survives where the round may hurry. A bystander notices nothing.
# timeout: 840

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra chased retainer

SLICE=hurrytest.slice
BYSTANDER=bystander.service
CONF=/etc/memguard/memguard.conf.d/hurry.conf
WATCHED=(--setenv=LD_PRELOAD=libmemguard-hook.so --setenv=MEMGUARD_AGENT=always)
MIB=1048576

# In use, free, and what it grows by: all of it fits into the limit only when what is free is gone.
HELD_MIB=128
RETAINED_MIB=384
GROWTH_MIB=256

# settings [MODE [METHOD]] - of the daemon from now on. Usage alone begins a round, and whoever
# is at work is borrowed from.
settings()
{
	mkdir -p "${CONF%/*}"
	printf '%s\n' '[Guard]' "Mode=${1:-}" '[Trigger]' UsageHigh=80% UsageCritical=88% \
		RetainedHigh=0 PressureSome=0 MachinePressureSome=0 OomEtaSec=0 \
		'[Trim]' StallBudgetMSec=0 "Method=${2:-}" >$CONF
	assert memguardctl verify
	assert systemctl restart memguard.service
}

# number TEXT KEY - the first of these in a JSON text; 0 if there is none.
number()
{
	local value

	value=$(grep -oE "\"$2\":[0-9]+" <<<"$1" | head -n 1 | cut -d: -f2) || true
	echo "${value:-0}"
}

# is_measured UNIT MIB - the daemon knows that it retains that much.
is_measured()
{
	(($(number "$(memguardctl --json=short list "$1" 2>/dev/null)" retained_bytes) > $2 * MIB))
}

is_at_work()
{
	(($(number "$(memguardctl --json=short show "$1" 2>/dev/null)" busy_permyriad) >= 500))
}

# Its growth until now is forgotten: nothing is urgent.
is_steady()
{
	(($(number "$(memguardctl --json=short explain "$1")" growth_bytes_per_sec) < MIB))
}

usage_bytes()
{
	cat "$(unit_cgroup "$1")/memory.current"
}

said()
{
	grep -q "^$1" "/run/$2.out"
}

# By the kernel, below the slice: a service takes its own counters along.
kills()
{
	cgroup_key "/sys/fs/cgroup/$SLICE" memory.events oom_kill
}

rss_of_bystander_kib()
{
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$(unit_show $BYSTANDER MainPID)/status"
}

# start UNIT - with much retained, at work, known to the daemon; then its limit comes down on
# it, so that usage is above UsageHigh= and not growing: no hurry yet.
start()
{
	rm -f "/run/$1.in"
	mkfifo "/run/$1.in"
	: >"/run/$1.out"
	unit_start "$1" --slice=$SLICE "${WATCHED[@]}" --property=MemoryMax=1G \
		--property=MemorySwapMax=0 \
		--property=StandardOutput="file:/run/$1.out" \
		-- sh -c "exec '$EXTRA/chased' $HELD_MIB $RETAINED_MIB $GROWTH_MIB <>/run/$1.in"
	wait_for 120 said retained "$1"
	wait_for 120 is_measured "$1" $((RETAINED_MIB / 2))
	wait_for 60 is_at_work "$1"
	wait_for 60 is_steady "$1"
	assert_eq "growth before" "$(cat "/run/$1.out")" retained
	systemctl set-property --runtime "$1" MemoryMax=$(($(usage_bytes "$1") * 100 / 83))
}

# outcome UNIT - and what was done, in short.
outcome()
{
	cat "/run/$1.out"
	journal --unit="$1"
	journal --unit=memguard.service | grep -F "$1" || true
	memguardctl history "$1" || true
}

is_over()
{
	said grown "$1" || unit_is "$1" failed
}

# is_killed UNIT BEFORE - with one kill more than before.
is_killed()
{
	wait_for 60 unit_is "$1" failed
	assert_eq "result of $1" "$(unit_show "$1" Result)" oom-kill
	assert_eq "kills of $1" $(($(kills) - $2)) 1
}

testcase_1_the_bystander()
{
	settings
	mkfifo /run/$BYSTANDER.in
	unit_start $BYSTANDER --slice=$SLICE "${WATCHED[@]}" --property=MemoryMax=256M \
		-- sh -c "exec '$EXTRA/retainer' 64 2 <>/run/$BYSTANDER.in"
	wait_for 60 is_measured $BYSTANDER 32
	unit_show $BYSTANDER MainPID >/run/$BYSTANDER.pid
}

testcase_2_who_is_not_released_is_killed()
{
	local unit=observed.service before

	before=$(kills)
	settings observe
	start $unit
	echo >/run/$unit.in
	wait_for 120 is_over $unit
	outcome $unit
	is_killed $unit "$before"
}

testcase_3_who_is_only_borrowed_from_is_killed()
{
	local unit=borrowed.service before

	before=$(kills)
	settings trim borrow
	start $unit
	wait_for 120 is_over $unit
	outcome $unit
	assert_in '"method":"borrow"' "$(memguardctl --json=short history $unit)"
	is_killed $unit "$before"
}

# hurried KEY - of the last round of the unit that gave way.
hurried()
{
	number "$(memguardctl --json=short history hurried.service | grep -oE '"hurried":\{[^}]*\}' || true)" "$1"
}

has_hurried()
{
	(($(hurried overtaken) == 1))
}

# Whichever is seen first: usage, or how fast it grows.
testcase_4_where_the_round_may_hurry_it_survives()
{
	local unit=hurried.service before pid

	before=$(kills)
	settings
	start $unit
	pid=$(unit_show $unit MainPID)
	wait_for 120 is_over $unit
	wait_for 60 has_hurried
	outcome $unit
	assert said grown $unit
	assert unit_is $unit active
	assert_eq "process of $unit" "$(unit_show $unit MainPID)" "$pid"
	assert_eq "kills" "$(kills)" "$before"
	assert_eq "borrowing that ended early" "$(hurried ended_early)" 1
	assert test "$(hurried overtaken_bytes)" -gt 0
}

testcase_5_the_bystander_noticed_nothing()
{
	assert_eq "process of the bystander" "$(unit_show $BYSTANDER MainPID)" "$(cat /run/$BYSTANDER.pid)"
	assert_eq "kills" "$(cgroup_key "$(unit_cgroup $BYSTANDER)" memory.events oom_kill)" 0
	assert_eq "rounds" "$(memguardctl --no-legend history $BYSTANDER 2>/dev/null || true)" ""
	(($(rss_of_bystander_kib) > 48 * 1024)) || fail "the bystander has $(rss_of_bystander_kib) KiB"
}

testcase_6_clean_up()
{
	rm -f $CONF /run/*.service.{in,out,pid}
	assert systemctl stop memguard.service memguard.socket memguard-control.socket
}

run_testcases
