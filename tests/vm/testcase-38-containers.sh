#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs in containers of systemd-nspawn that carry the hook. Under the filter that nspawn puts
# on them they are left alone, and it is said why; without it they are members like others, by
# their numbers outside and in their container's cgroup. What runs inside has no say outside.
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer
command -v systemd-nspawn >/dev/null || skip "no systemd-nspawn in the image"

OPEN=machine-open.scope

# nspawn [OPTION...] -- COMMAND... : in this system's /usr, with nothing else of it but the
# sockets; --volatile has a root of its own made in memory.
nspawn()
{
	systemd-nspawn --quiet --directory=/ --volatile=yes --as-pid2 --link-journal=no \
		--bind-ro="$EXTRA" --bind-ro=/run/memguard --bind=/run/subject "$@"
}

# box NAME FILTER : a container of that name, in which the subject runs with the hook.
box()
{
	unit_start "$1.service" -E SYSTEMD_SECCOMP="$2" -- bash -c "$(declare -f nspawn); EXTRA=$EXTRA
		nspawn --machine=$1 --property=MemoryMax=200M --setenv=LD_PRELOAD=libmemguard-hook.so \
			--console=pipe -- /bin/sh -c 'exec $EXTRA/retainer 40 2 <>/run/subject'"
	wait_for 120 pid_in "$1"
}

# pid_in NAME - of the program in that container, by its number here.
pid_in()
{
	local pid

	for pid in $(cat "$(unit_cgroup "machine-$1.scope")"/payload/cgroup.procs 2>/dev/null || true); do
		[[ $(<"/proc/$pid/comm") != retainer ]] || { echo "$pid"; return 0; }
	done
	return 1
}

# inside [COMMAND...] - in another container, without a filter: what it says, and its status.
inside()
{
	SYSTEMD_SECCOMP=0 nspawn --machine=inside --console=pipe -- "$@"
}

testcase_1_under_its_filter_the_hook_keeps_still()
{
	local pid

	subject_command >/dev/null
	assert systemctl enable --now memguard
	box filtered 1
	pid=$(pid_in filtered)
	assert grep -q memguard-hook "/proc/$pid/maps"
	assert_in "Seccomp:	2" "$(<"/proc/$pid/status")"
	assert_refused "in a program with a system call filter" memguardctl show "$pid"
	assert_eq "members" "$(members)" ""
	# It has had its threads by then, and the hook its occasion.
	wait_for 120 eval "((\$(awk '/VmHWM/ { print \$2 }' /proc/$pid/status) > 40000))"
	assert_not grep -q memguard "/proc/$pid/task/"*/comm
}

testcase_2_without_one_it_is_a_member()
{
	local pid said

	box open 0
	pid=$(pid_in open)
	wait_for 120 has_members $OPEN "$pid"
	said=$(memguardctl --json=short explain $OPEN)
	assert_in '"limit_bytes":209715200' "$said"
	assert_in "\"unit\":\"$OPEN\"" "$said"
	assert releases memguardctl trim $OPEN
	assert_not has_members machine-filtered.scope
	memguardctl status
}

testcase_3_what_runs_inside_has_no_say_outside()
{
	local pid

	pid=$(pid_in open)
	assert_eq "who is root inside" "$(stat -c %u "/proc/$pid")" 0
	assert_in memguardd "$(inside memguardctl status)"
	assert_eq "what root inside sees" "$(inside memguardctl --json=short list)" "[]"
	assert_refused "Only root outside of this container" inside memguardctl trim "$pid"
	assert_refused "Only root outside of this container" inside memguardctl tune "$pid" TopPad=1M
	assert_refused "Only root outside of this container" inside memguardctl reload
	# Hooks trust who made the socket, so that it must not be exchanged.
	assert_refused "Read-only" inside rm /run/memguard/hook.sock
	assert_eq "members" "$(members)" "$pid"
}

testcase_4_they_end_as_they_would()
{
	assert unit_is filtered.service active
	assert unit_is open.service active
	assert machinectl terminate open filtered
	wait_for 120 eval "! has_members $OPEN"
	wait_for 120 eval "! unit_is filtered.service active && ! unit_is open.service active"
	assert systemctl is-active memguard.service
	assert_not journal_has 'memguardd\[[0-9]+\]: .*(Cannot|failed)'
	systemctl disable --now memguard memguard.socket memguard-control.socket
}

run_testcases
