#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A user's daemon begins with few descriptors, as the service manager has it, and takes as many as it
# may. Where there are none left, who comes is guarded later, and not for good by less than
# there is of its group.

. "$(dirname "$0")/lib.sh"

N=24

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
command -v prlimit >/dev/null || skip "there is no prlimit"
# Without a limit, far from which no threshold takes a descriptor now and then.
may_make_group >"$scratch/no-group" || skip "$(cat "$scratch/no-group")"

# begin_hook NAME : in a group of its own of that name.
begin_hook()
{
	mkdir "$group/$1"
	(
		echo 0 >"$group/$1/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" good 1 >"$scratch/hook.$1"
	) &
	started+=($!)
}

n_read()
{
	ctl --json=short status |
		jq '[.groups[] | select(.kind == "cgroup-v1" and .usage_bytes > 0)] | length'
}

# n_open : the least of many looks, since a client that has just gone, or a file that is read, takes one for
# a moment.
n_open()
{
	local i fds least=100000

	for ((i = 0; i < 50; i++)); do
		fds=("/proc/$daemon/fd/"*)
		[ ${#fds[@]} -ge $least ] || least=${#fds[@]}
		ctl status >"$scratch/status"
	done
	echo $least
}

# is_told PID : whether there were descriptors for it.
is_told()
{
	logged "Process $1 .*joined|Cannot find the group of process $1: Too many open files"
}

# turns_away : with so many left that they are enough for a connection and for the look at its process, and
# not for the files of a group: that is one or two, or a few more where not all are at rest.
turns_away()
{
	local more

	for more in 2 1 0; do
		mkdir "$group/late$more"
		prlimit --pid "$daemon" --nofile=$(($(n_open) + more)):
		retainer_group=$group/late$more start_retainer 8
		late=$group/late$more
		wait_for 60 is_told "$retainer"
		logged "Cannot find the group of process $retainer: Too many open files" && return
		prlimit --pid "$daemon" --nofile=4096:
	done
	return 1
}

ulimit -Sn 64
cat >"$scratch/command" <<-END
	#!/bin/sh
	ulimit -Sn >"$scratch/limit.new"
	mv "$scratch/limit.new" "$scratch/limit"
END
chmod +x "$scratch/command"
start_daemon "[Trigger]\nRetainedHigh=0\n[Alert]\nExec=$scratch/command\n"
for ((i = 0; i < N; i++)); do
	begin_hook "$i"
done
claim "all of $N groups are read, for which 64 descriptors do not do" \
	wait_for 60 eval '[ "$(n_read)" = '$N' ]'

claim "who comes when there are none left is turned away" turns_away
prlimit --pid "$daemon" --nofile=4096:
claim "and comes again" wait_for 60 is_member "$retainer"
claim "to be guarded by its group" eval \
	'[ "$(ctl --json=short status | jq -r ".groups[] | select(.path == \"${late#/sys/fs/cgroup/memory}\").kind")" = cgroup-v1 ]'

# What is charged in the middle of this does not fit below it.
limit_close()
{
	local usage

	usage=$(cat "$group/0/memory.usage_in_bytes")
	echo $((usage / 95 * 100)) 2>/dev/null >"$group/0/memory.limit_in_bytes"
}

claim "a limit is set close above what is used" wait_for 60 limit_close
claim "a command is started near a limit" wait_for 60 test -e "$scratch/limit"
claim "with as many as programs expect" grep -qx 1024 "$scratch/limit"
finish
