#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Near the limit the journal says why nobody is asked: once while it lasts, and again when it comes
# another time.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for a cgroup with a limit"
make_group 4000
path=${group#/sys/fs/cgroup/memory}

state_is()
{
	[ "$(ctl --json=short explain "$path" | jq -r '.[0].state')" = "$1" ]
}

told()
{
	[ "$(grep -c 'asked nobody' "$scratch/daemon.log")" = "$1" ]
}

# The last round that asked nobody is a newer one than when it was looked before.
age=0
is_tried_again()
{
	local before=$age

	age=$(ctl --json=short explain "$path" | jq '.[0].quiet_age_usec // 0')
	[ "$age" -lt "$before" ]
}

come_near()
{
	echo $(($(cat "$group/memory.usage_in_bytes") / 86 * 100)) >"$group/memory.limit_in_bytes"
}

start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n[Trim]\nCooldownSec=1s\n'
retains=held retainer_group=$group start_retainer 100 1 hold
claim "far from the limit it is calm" wait_for 60 state_is calm
come_near
claim "near it, it is told why nobody is asked" wait_for 60 told 1
claim "another round finds nobody" wait_for 60 is_tried_again
claim "which is told no more" told 1

echo $((4000 << 20)) >"$group/memory.limit_in_bytes"
claim "all is calm again" wait_for 60 state_is calm
come_near
claim "another time it is told again" wait_for 60 told 2
exec 9>&-
finish
