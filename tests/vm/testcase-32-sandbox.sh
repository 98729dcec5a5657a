#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The sandbox of memguard.service is as small as it is said to be, needs to be no larger, and
# gets in the way of nothing: no system call is refused, whatever the daemon is made to do.
# And the journal explains what it did.
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer

CONF=/etc/memguard/memguard.conf.d/sandbox.conf
DROPIN=/run/systemd/system/memguard.service.d/test.conf

# To 75 MiB; when it is told, without end.
# shellcheck disable=SC2016 # perl's variables
GROW='my @held = map { "x" x 1048576 } 1 .. 75; <STDIN>; while (1) { push @held, "x" x 1048576; }'

proc_status()
{
	awk -v key="$1:" '$1 == key { $1 = ""; print substr($0, 2) }' \
		"/proc/$(unit_show memguard.service MainPID)/status"
}

# signal NAME KEY - of memguardctl status
signal()
{
	memguardctl --json=short status | grep -oE "\"$1\":\{[^}]*\}" | grep -oE "\"$2\":[0-9]+" |
		cut -d: -f2
}

# What glibc makes a process with, of which no filter can see the flags: RestrictNamespaces=
# has it fail as if it did not exist, and glibc takes another one.
CLONE3='syscall=435 '

# refused_calls - by a filter of systemd, as the kernel logs them when the machine was booted
# with SYSTEMD_LOG_SECCOMP=1; one line each.
refused_calls()
{
	journalctl --sync
	journalctl --quiet --no-pager --output=cat --after-cursor="$CURSOR" |
		grep -E '^(SECCOMP|audit: type=1326) ' | grep -vF "$CLONE3" || true
}

testcase_1_who_it_is()
{
	local uid

	mkdir -p "${CONF%/*}"
	printf '%s\n' '[Trigger]' UsageHigh=50% UsageCritical=60% \
		'[Alert]' "Exec=/usr/bin/nice -n 5 /bin/true" >"$CONF"
	assert systemctl enable --now memguard
	uid=$(id -u memguard)
	assert_eq "its user" "$(proc_status Uid)" "$uid $uid $uid $uid"
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		# CAP_DAC_OVERRIDE alone.
		assert_eq "$set" "$(proc_status $set)" 0000000000000002
	done
	assert_eq "NoNewPrivs" "$(proc_status NoNewPrivs)" 1
	assert_eq "Seccomp" "$(proc_status Seccomp)" 2
}

testcase_2_how_exposed_it_is()
{
	systemd-analyze security --no-pager memguard.service | tail -n 1
	assert systemd-analyze security --no-pager --threshold=13 memguard.service >/dev/null
}

testcase_3_everything_it_does()
{
	local pid

	unit_start member.service --property=MemoryMax=200M --setenv=LD_PRELOAD=libmemguard-hook.so \
		-- /bin/sh -c "$(subject_command | sed "s/.*-c '//; s/'\$//")"
	wait_for 120 has_members member.service
	pid=$(members member.service)
	for verb in status list "list member" "show $pid" "explain member" "history" "history member" \
		"record member" config verify "trim --method=full member" "trim --method=borrow $pid" \
		"tune member TopPad=1M" "diagnose member" "status"; do
		# shellcheck disable=SC2086 # words
		memguardctl $verb >/dev/null || fail "memguardctl $verb"
	done
	assert systemctl reload memguard
	echo nonsense >"${CONF%.conf}-bad.conf"
	assert_not systemctl reload memguard
	rm "${CONF%.conf}-bad.conf"
	assert systemctl reload memguard
	assert systemctl kill -s HUP memguard
	assert systemctl service-log-level memguard debug
	assert systemctl service-log-level memguard info
	assert busctl --quiet call org.memguard.Manager1 /org/memguard/Manager1 \
		org.memguard.Manager1 GetStatus
}

testcase_4_pressure_and_a_kill()
{
	perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new("/run/memguard/pressure") or die;
		print $s "some 200000 2000000\0"; close $s'
	mkfifo /run/victim
	unit_start victim.service --property=MemoryMax=100M --property=MemorySwapMax=0 \
		--property=OOMPolicy=continue --setenv=LD_PRELOAD=libmemguard-hook.so \
		--setenv=MEMGUARD_AGENT=always \
		-- sh -c "perl -e '$GROW' <>/run/victim; exec sleep infinity"
	wait_for 120 journal_has 'victim\.service: .*because usage is above' --unit=memguard.service
	wait_for 120 eval 'grep -q "comm=\"nice\"" <<<"$(refused_calls)"'
	echo >/run/victim
	wait_for 120 journal_has 'victim\.service: .*OOM killer' --unit=memguard.service
	assert systemctl stop victim.service
	assert systemctl restart memguard
	wait_for 120 has_members member.service
}

testcase_5_no_call_was_refused()
{
	refused_calls
	# Exec= runs in the sandbox, and nice(1) asks for what is not allowed there: so refusals
	# are seen here.
	assert_in 'comm="nice"' "$(refused_calls)"
	assert_eq "calls of the daemon and its helper that were refused" \
		"$(refused_calls | grep 'comm="memguard' || true)" ""
}

testcase_6_the_journal_explains()
{
	local text

	# As "journalctl -x" shows it.
	journalctl --sync
	text=$(journalctl --catalog --quiet --no-pager --after-cursor="$CURSOR" -t memguardd)
	assert_in "Subject: memguard looked for freed memory in /system.slice/" "$text"
	assert_in "Subject: The kernel's OOM killer acted in /system.slice/victim.service" "$text"
	assert_in "Subject: The configuration of memguard has errors" "$text"
}

# Less than that is not enough: pressure is not seen.
testcase_7_the_capability_is_needed()
{
	wait_for 120 eval '(($(signal group_pressure armed) >= 1))'
	mkdir -p "${DROPIN%/*}"
	printf '%s\n' '[Service]' CapabilityBoundingSet= AmbientCapabilities= >"$DROPIN"
	systemctl daemon-reload
	assert systemctl restart memguard
	wait_for 120 has_members member.service
	wait_for 120 eval '(($(signal group_pressure failed) >= 1))'
	memguardctl status
	rm -r "${DROPIN%/*}"
	systemctl daemon-reload
	assert systemctl restart memguard
	wait_for 120 has_members member.service
	wait_for 120 eval '(($(signal group_pressure armed) >= 1))'
	rm "$CONF"
	assert systemctl disable --now memguard memguard.socket memguard-control.socket
}

run_testcases
