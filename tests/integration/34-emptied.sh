#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A group whose last process is gone is shown as what it is then, behind those that live.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for a cgroup with a limit"
make_group 200
path=${group#/sys/fs/cgroup/memory}

# of_group FILTER : true of the group in the status.
of_group()
{
	ctl --json=short status | jq -e --arg path "$path" \
		".groups[] | select(.path == \$path) | $1" >/dev/null
}

is_first()
{
	ctl status >"$scratch/told"
	sed -n '/^GROUP /,$p' "$scratch/told"
	[ "$(sed -n '/^GROUP /{n;s/ .*//p}' "$scratch/told")" = "$1" ]
}

start_daemon '[Guard]\nMode=observe\n[Trigger]\nRetainedHigh=0\nUsageHigh=40%\nUsageCritical=50%\n'
retains=held retainer_group=$group start_retainer 150 2 hold
claim "a group near its limit is critical" wait_for 30 of_group '.state == "critical"'
kill -KILL "$retainer"
wait "$retainer" || true
exec 9>&-
claim "once it is empty it is calm" wait_for 30 of_group '.members == 0 and .state == "calm"'

# Of a program without the hook: it keeps the end of what it reads.
mkfifo "$scratch/hold"
(
	echo 0 >"$group/cgroup.procs"
	exec tail -c 130M <"$scratch/hold" >/dev/null
) &
started+=("$!")
exec 8>"$scratch/hold"
head -c 130M /dev/zero >&8
claim "others may fill it" wait_for 30 of_group '.members == 0 and .state == "critical"'
start_retainer 8
claim "behind those where somebody is guarded" eval '! is_first "$path"'
exec 8>&- 9>&-
finish
