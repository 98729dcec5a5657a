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
make_group 4000
path=${group#/sys/fs/cgroup/memory}

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
		jq '[.groups[] | select(.kind == "cgroup-v1" and .limit_bytes == '$((4000 << 20))')] | length'
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

usage=$(cat "$group/0/memory.usage_in_bytes")
echo $((usage / 95 * 100)) >"$group/0/memory.limit_in_bytes"
claim "a command is started near a limit" wait_for 60 test -e "$scratch/limit"
claim "with as many as programs expect" grep -qx 1024 "$scratch/limit"

# Enough for a connection and for the look at its process, and not for the files of a group.
mkdir "$group/late"
fds=("/proc/$daemon/fd/"*)
prlimit --pid "$daemon" --nofile=$((${#fds[@]} + 2)):
retainer_group=$group/late start_retainer 8
claim "who comes when there are none left is turned away" wait_for 60 \
	logged "Cannot find the group of process $retainer: Too many open files"
prlimit --pid "$daemon" --nofile=4096:
claim "and comes again" wait_for 60 is_member "$retainer"
claim "to be guarded by its group" eval \
	'[ "$(ctl --json=short status | jq -r ".groups[] | select(.path == \"$path/late\").kind")" = cgroup-v1 ]'
finish
