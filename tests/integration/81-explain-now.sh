#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What explain says is of now, and of what counts: it reads the group first, and where settings
# contradict each other it says which, and which one it is that counts.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

make_group 100
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n[Trim]\nCooldownSec=1h\n[Cgroup /*]\nUsageHigh=70%\nUsageCritical=83%\n[Cgroup /?*]\nUsageHigh=85%\n'
retainer_group=$group start_retainer 40 1
wait_for 20 is_member "$retainer"

explained()
{
	ctl --json=short explain "$retainer" | jq -r ".[0].$1"
}

usec()
{
	date +%s%6N
}

# The daemon by itself reads it once a second, or less: nine in a row are no chance.
is_read_for_us()
{
	local i begin age

	for i in 1 2 3 4 5 6 7 8 9; do
		begin=$(usec)
		age=$(explained reading_age_usec)
		echo "$i: $age"
		[ "$age" -lt $(($(usec) - begin)) ] || return 1
	done
}
is_read()
{
	[ "$(explained anon_bytes)" -gt $((40 << 20)) ]
}
claim "the group has been read" wait_for 20 is_read
claim "explain reads it again, each time" is_read_for_us

claim "settings that contradict each other: the lower one counts" \
	[ "$(explained usage_high_permyriad)" = 8300 ]
claim "which explain says, with the places of both" eval \
	'ctl explain "$retainer" | tr -s "\n " " " |
	 has "Settings: UsageHigh=85% of $scratch/memguard.conf:[0-9]* and UsageCritical=83% of $scratch/memguard.conf:[0-9]* meet here"'
claim "and JSON too" eval '[[ $(explained clash_text) == UsageHigh=85%* ]]'

claim "a release" trims "$retainer"
claim "is not taken for what the program does" eval \
	'ctl explain "$retainer" | tr -s "\n " " " | has "Usage: .* limit, lowered by a release just now"'
claim "and what is left for another one is told as nothing" eval \
	'ctl show "$retainer" | has "A release: has nothing to give back"'
claim "as what it gives" eval 'ctl diagnose "$retainer" | has "Release: gave [0-9.KB]* where nothing was expected"'

finish
