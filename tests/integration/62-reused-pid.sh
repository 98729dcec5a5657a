#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A connection can be handed on, and the process that made it can end: whoever gets its number
# next is not spoken for by who holds the connection.

# In a pid namespace of its own: else numbers come back also for other tests, of which one might end who has
# that of a process of its own by then.
own=(unshare --fork --pid --mount-proc --kill-child)
if [ $# = 0 ] && "${own[@]}" true 2>/dev/null; then
	exec "${own[@]}" "$0" --inside
fi
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root to choose a process's number"
[ -w /proc/sys/kernel/ns_last_pid ] || skip "this kernel lets nobody choose a process's number"
make_group 1000
mkdir "$group/victim" "$group/liar"
base=/sys/fs/cgroup/memory

# take_number PID : a new process of that number in the group "victim".
take_number()
{
	for _ in {1..5000}; do
		{ echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; } 2>/dev/null || return 1
		sleep 1000 &
		if [ $! = "$1" ]; then
			started+=($!)
			echo $! >"$group/victim/cgroup.procs"
			return
		fi
		# Where it has not come to sleep yet, another signal could still be the shell's.
		kill -KILL $!
		wait $! 2>/dev/null || true
	done
	return 1
}

# A process that begins from now on does so after all that has connected, as the kernel counts.
tick()
{
	local now

	now=$(cut -d ' ' -f 1 /proc/uptime)
	wait_for 20 eval "[ \"\$(cut -d ' ' -f 1 /proc/uptime)\" != $now ]"
}

# make_liar MODE NAME
make_liar()
{
	(
		echo 0 >"$group/liar/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" "$1" <&8 >"$scratch/$2"
	) &
	liar=$!
}

# greets NAME : the child says HELLO now. It may be that it had been sent away before.
greets()
{
	echo >&8
	wait_for 20 grep -qE 'hello|closed' "$scratch/$1"
	grep -q hello "$scratch/$1"
}

# late : leaves the connection to a child and ends, and its number to another.
late()
{
	make_liar late late
	wait_for 20 grep -q stats "$scratch/late"
	wait $liar || true
	tick
	take_number $liar
}

# early : the same before HELLO, for which there are two seconds from when the daemon has let it in: so that
# the daemon is stopped then. Not before that: on a busy machine they may be over by then.
early()
{
	local r=1

	for _ in {1..10}; do
		make_liar early early
		wait $liar || true
		# Whoever connected before is let in by now.
		ctl status >/dev/null || true
		halt "$daemon"
		tick
		! take_number $liar || ! greets early || r=0
		kill -CONT "$daemon"
		[ $r != 0 ] || return 0
	done
	return 1
}

# asleep COMMAND... : a liar whose number is another's before the daemon accepts the connection.
asleep()
{
	local r=0

	halt "$daemon"
	"$@"
	wait $liar || true
	take_number $liar || r=$?
	[ "$1" != make_liar ] || greets asleep || r=1
	kill -CONT "$daemon"
	return $r
}

# SO_PEERPIDFD
tells_of_peers()
{
	python3 -c 'import socket
a, b = socket.socketpair()
a.getsockopt(socket.SOL_SOCKET, 77)' 2>/dev/null
}

speaks_for_victim()
{
	ctl --json=short list "${group#"$base"}/victim" 2>/dev/null | has '"pid":'
}

# make_listener NAME : the same of who listens for early warnings.
make_listener()
{
	(
		echo 0 >"$group/liar/cgroup.procs"
		exec python3 - "$runtime/pressure" >"$scratch/$1" <<-EOF2
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		sys.stdin.close()
		if os.fork() == 0 and s.recv(1) == b"":
		    print("closed", flush=True)
		EOF2
	) &
	liar=$!
}

listen()
{
	make_listener listen
	wait_for 20 logged "Process $liar wants to hear of memory pressure"
	wait $liar || true
	take_number $liar
}

start_daemon
mkfifo "$scratch/go"
exec 8<>"$scratch/go"
for when in late early; do
	claim "$when: a number is given away" $when
	# A command has everybody looked for where he is.
	ctl trim "${group#"$base"}/liar" >"$scratch/trim" 2>&1 || true
	claim "$when: the new process of that number has no hook" eval '! speaks_for_victim'
	claim "$when: who holds the connection is sent away" \
		wait_for 30 grep -q closed "$scratch/$when"
	claim "$when: nobody is left" eval '[ "$(ctl --json=short list)" = "[]" ]'
done
if tells_of_peers; then
	claim "asleep: a number is given away" asleep make_liar early asleep
	claim "asleep: who holds the connection is sent away" wait_for 30 grep -q closed "$scratch/asleep"
	claim "asleep: the new process of that number has no hook" eval '! speaks_for_victim'
	claim "asleep: who listens leaves its number, too" asleep make_listener deaf
	claim "asleep: who holds that connection is sent away" wait_for 30 grep -q closed "$scratch/deaf"
fi
claim "who listens leaves its number, too" listen
ctl trim "${group#"$base"}/liar" >"$scratch/trim" 2>&1 || true
claim "nobody listens to the group of who has it now" wait_for 30 grep -q closed "$scratch/listen"
# shellcheck disable=SC2046 # numbers
kill $(cat "$group"/*/cgroup.procs) 2>/dev/null || true
finish
