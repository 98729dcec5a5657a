#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Services under profiles of AppArmor. With the rules that are installed one that includes
# abstractions/base is guarded, without a refusal. Row 53: without them the hook keeps still
# after a few, the service runs, and it is told why it is not guarded and what to do.
# timeout: 600

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra retainer
command -v apparmor_parser >/dev/null || skip "no apparmor_parser in the image"
[[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]] || skip "the kernel has AppArmor off"

RULES=/etc/apparmor.d/abstractions/base.d/memguard
ASIDE=$(mktemp -d)

# load NAME HEAD RULE... : a profile under which the subject runs, of that head.
load()
{
	local name=$1 head=$2

	shift 2
	{
		printf '%s\n' 'abi <abi/3.0>,' 'include <tunables/global>' "profile $head {"
		printf '\t%s\n' "$@" "$EXTRA/retainer mrix," '/{usr/,}bin/{sh,dash} mrix,' '/run/subject rw,'
		echo '}'
	} >"/etc/apparmor.d/$name"
	apparmor_parser --replace "/etc/apparmor.d/$name"
}

# subject NAME [LINE...] : NAME.service, with the hook.
subject()
{
	local name=$1

	shift
	write_service "$name.service" "ExecStart=$(subject_command)" "$@"
	memguardctl enable "$name" >/dev/null
}

pid_of()
{
	unit_show "$1.service" MainPID
}

confined_by()
{
	[[ $(<"/proc/$(pid_of "$1")/attr/apparmor/current") == "$2 (enforce)" ]]
}

# refusals PROFILE : of the kernel's, a line each, as its log has them; not every journald listens to
# the audit.
refusals()
{
	journalctl --sync
	journalctl --quiet --no-pager --output=cat --after-cursor="$CURSOR" |
		grep -E "^audit: type=1400 .* apparmor=\"DENIED\".* profile=\"$1\"" || true
}

has_retained()
{
	journalctl --quiet --output=cat _PID="$(pid_of "$1")" | grep -qx retained
}

has_no_agent()
{
	! grep -qx memguard "/proc/$(pid_of "$1")/task/"*/comm
}

# starts NAME PROFILE : anew, and is there.
starts()
{
	assert systemctl restart "$1.service"
	wait_for 120 confined_by "$1" "$2"
	wait_for 120 has_retained "$1"
}

testcase_1_with_abstractions_base_it_is_guarded()
{
	local said

	assert systemctl enable --now memguard
	load named named 'include <abstractions/base>'
	load attached "attached $EXTRA/retainer" 'include <abstractions/base>'
	subject named AppArmorProfile=named
	subject attached
	starts named named
	starts attached attached
	wait_for 120 has_members named.service
	wait_for 120 has_members attached.service
	said=$(memguardctl --json=short show "$(pid_of named)")
	assert_in '"heap_rss_bytes":' "$said"
	assert_not grep -q '"rss_bytes":0[,}]' <<<"$said"
	assert releases memguardctl trim named
	assert releases memguardctl trim --method=borrow attached
	assert_eq "refusals" "$(refusals named; refusals attached)" ""
	assert_eq "what enable says" "$(memguardctl enable named attached 2>&1 >/dev/null)" ""
}

testcase_2_row_53_without_the_rules_it_keeps_still()
{
	local name

	mv "$RULES" "$ASIDE/rules"
	for name in named attached; do
		apparmor_parser --replace "/etc/apparmor.d/$name"
		CURSOR=$(journalctl --lines=0 --show-cursor --quiet | sed -n 's/^-- cursor: //p')
		starts "$name" "$name"
		assert grep -q memguard-hook "/proc/$(pid_of "$name")/maps"
		wait_for 60 has_no_agent "$name"
		refusals "$name"
		# Of the shell, which is the main process first, and of the program.
		assert test "$(refusals "$name" | wc -l)" -gt 0
		assert test "$(refusals "$name" | wc -l)" -le 12
		assert_refused "AppArmor's profile $name, which does not allow the hook to read /proc/PID" \
			memguardctl show "$(pid_of "$name")"
		# Guarded before, and why not now is what matters.
		assert_refused "any more. Its main process is $(pid_of "$name"). It is confined by AppArmor's" \
			memguardctl show "$name.service"
		assert_in "AppArmor's profile $name, which does not allow the hook to read /proc/PID" \
			"$(memguardctl enable "$name" 2>&1)"
		assert unit_is "$name.service" active
	done
	assert_eq "members" "$(members)" ""
}

# What the parser keeps of profiles is out of date then, and the file older than that.
testcase_3_it_is_mended_as_told()
{
	systemctl unmask apparmor.service
	assert systemctl start apparmor.service
	mv "$ASIDE/rules" "$RULES"
	assert systemctl reload apparmor.service
	starts named named
	wait_for 120 has_members named.service
	assert_eq "what enable says" "$(memguardctl enable named attached 2>&1 >/dev/null)" ""
}

testcase_4_a_profile_of_ones_own()
{
	# As the manual has it.
	load own own 'include <abstractions/base.d/memguard>' '/etc/ld.so.cache r,' \
		'/{usr/,}lib/@{multiarch}/{lib*,ld-*}.so* mr,' 'unix (create, send, receive) type=stream,' \
		'signal (receive) peer=unconfined,'
	subject own AppArmorProfile=own
	starts own own
	wait_for 120 has_members own.service
	refusals own

	load none none '/etc/ld.so.cache r,' '/{usr/,}lib/@{multiarch}/{libc,ld-*}.so* mr,' \
		'unix (create, send, receive) type=stream,'
	subject none AppArmorProfile=none
	starts none none
	assert_not grep -q memguard-hook "/proc/$(pid_of none)/maps"
	assert_refused "does not allow the hook to read the hook's file" memguardctl show none.service
	assert journal_has "libmemguard-hook.so.*cannot be preloaded" --unit=none.service
	assert unit_is none.service active
	refusals none
}

testcase_5_it_leaves_the_machine_as_it_was()
{
	local name

	for name in named attached own none; do
		memguardctl disable "$name" >/dev/null
		systemctl stop "$name.service"
		apparmor_parser --remove "/etc/apparmor.d/$name"
		rm "/etc/apparmor.d/$name"
	done
	assert systemctl disable --now memguard memguard.socket memguard-control.socket
}

run_testcases
