#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A process that is moved to another cgroup becomes a member of that group, with what is
# known of it. A group is its id: one that is made again under the same path is another.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
make_group 1000
mkdir "$group/a" "$group/b"
base=/sys/fs/cgroup/memory

# figure NAME KEY : of the group; empty when it is not guarded.
figure()
{
	ctl --json=short explain "${group#"$base"}/$1" 2>/dev/null |
		grep -oE "\"$2\":[0-9]+" | head -n 1 | cut -d: -f2 || true
}

is_figure()
{
	[ "$(figure "$1" "$2")" = "$3" ]
}

is_in()
{
	ctl --json=short list "${group#"$base"}/$1" 2>/dev/null | has "\"pid\":${retainer}[,}]"
}

is_new()
{
	local id

	id=$(figure b id)
	[ -n "$id" ] && [ "$id" != "$old" ]
}

start_daemon '[Trigger]\nRetainedHigh=0\n'
retainer_group=$group/a start_retainer 60
claim "a process is a member of the group it began in" wait_for 20 is_in a

echo "$retainer" >"$group/b/cgroup.procs"
claim "moved to another group, it is a member of that one" wait_for 30 is_in b
claim "and of the old one no more" eval '! is_in a'
claim "the log says so" logged "moved from .*/a\" to .*/b\""

echo "$retainer" >"$group/a/cgroup.procs"
claim "a command finds it where it is, also right after a move" \
	ctl trim "${group#"$base"}/a"
claim "the round is that group's" is_figure a rounds 1
claim "not the other's" eval '! is_figure b rounds 1'

echo "$retainer" >"$group/b/cgroup.procs"
claim "its figures move along" wait_for 30 is_in b
ctl trim "${group#"$base"}/b" >"$scratch/claim" 2>&1
claim "the second group has a round too" is_figure b rounds 1
old=$(figure b id)
echo "$retainer" >"$group/cgroup.procs"
claim "it can leave for their parent" wait_for 30 eval '! is_in b'
rmdir "$group/b" && mkdir "$group/b"
echo "$retainer" >"$group/b/cgroup.procs"
claim "a group made again under the same path is another group" wait_for 30 is_new
claim "which inherits nothing" is_figure b rounds 0
mkdir "$group/c"
echo "$retainer" >"$group/c/cgroup.procs"
rmdir "$group/b"
claim "a group that is removed at once is left, too" wait_for 20 is_in c
exec 9>&-

# Its first figures are asked for, and never come.
mkdir "$group/d"
(
	echo 0 >"$group/d/cgroup.procs"
	exec "$shims/fake-hook" "$runtime/hook.sock" mute >"$scratch/mute"
) &
retainer=$!
started+=("$retainer")
wait_for 20 grep -q 'asked stats' "$scratch/mute"
echo "$retainer" >"$group/c/cgroup.procs"
rmdir "$group/d"
claim "so does one that answers nothing" wait_for 60 is_in c
claim "and nobody looks for the removed group any more" wait_for 20 eval '[ -z "$(figure d id)" ]'
finish
