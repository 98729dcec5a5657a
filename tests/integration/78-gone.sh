#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What ends while it is asked, and groups whose processes have ended: verbs fail and say so, and
# count nothing as released that went with a program.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

make_group 300
path=${group#/sys/fs/cgroup/memory}
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'

# Another group has somebody all the time.
start_retainer 8 1
wait_for 20 is_member "$retainer"

# fails VERB WHAT TEXT : and standard error has that, and nothing that leads astray.
fails()
{
	local r=0

	ctl "$1" "$2" >"$scratch/out.txt" 2>"$scratch/err.txt" || r=$?
	cat "$scratch/out.txt" "$scratch/err.txt"
	[ $r = 1 ] && has "$3" <"$scratch/err.txt" && ! grep -q "Nothing is guarded now" "$scratch/err.txt"
}

# The daemon itself asks for figures first, and for all arenas alone who shows it does.
(echo 0 >"$group/cgroup.procs" && exec "$shims/fake-hook" "$runtime/hook.sock" vanish-shown) >"$scratch/vanishing" &
vanishing=$!
started+=("$vanishing")
wait_for 60 logged "Process $vanishing .*retained 0M"
claim "show of who ends meanwhile fails" fails show "$vanishing" "ended while it was asked"
claim "and advises nothing" eval '! grep -q "Try:" "$scratch/out.txt"'

is_empty()
{
	ctl --json=short explain "$path" | jq -e '.[0].members == 0'
}
claim "status says that nobody is left" eval \
	'wait_for 20 is_empty && COLUMNS=200 ctl status | has -F "no guarded process is left"'

# What it had is free, but nobody has released it.
(echo 0 >"$group/cgroup.procs" && exec "$shims/fake-hook" "$runtime/hook.sock" stuck 64) >"$scratch/stuck" &
stuck=$!
started+=("$stuck")
wait_for 60 logged "Process $stuck .*retained 64M"
ctl --json=short trim "$stuck" >"$scratch/trim" &
trim=$!
wait_for 20 grep -q 'asked reclaim' "$scratch/stuck"
kill -9 "$stuck"
wait "$trim" || true
claim "what ends while it is asked to release has released nothing" \
	jq -e '.[0] | .gone == 1 and .answered == 0 and .released_bytes == 0' "$scratch/trim"

claim "the group is empty" wait_for 20 is_empty
claim "status shows what nobody has as nothing" eval \
	'COLUMNS=200 ctl status | has -E "[0-9][BKM] +300M .* - +- +[a-z]"'
claim "explain does not send anybody to look for the hook" eval \
	'ctl explain "$path" | has -E "Next: nothing: no guarded process is left there"'
claim "nor calls it lowered by a release what went with them" eval \
	'ctl explain "$path" | has -E "Usage: .*, its guarded processes have ended"'
claim "list of it fails, and says that nobody is left" fails list "$path" "No process is left there"
trims()
{
	local r=0

	ctl trim "$path" || r=$?
	[ $r = 1 ]
}
claim "trim of it fails" trims
claim "list of all does not" ctl list

# Who ends before he is let in is nowhere, and v1 says in the root, until his parent has heard of it.
has_no_empty_root()
{
	ctl --json=short status | jq -e '[.groups[] | select(.path == "/" and .members == 0)] == []'
}

# leaves_zombie : its pid in $zombie; it has connected, said HELLO and ended. The connection is left to another.
leaves_zombie()
{
	mkfifo "$scratch/hold"
	python3 - "$(dirname "$0")/../shim" "$runtime/hook.sock" "$scratch/hold" >"$scratch/zombie" <<-EOF2 &
	import os, socket, sys
	sys.path.insert(0, sys.argv[1])
	import hook_peer
	s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	child = os.fork()
	if child == 0:
	    s.connect(sys.argv[2])
	    s.send(hook_peer.hello(os.getpid()))
	    os._exit(0)
	os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
	print(child, flush=True)
	open(sys.argv[3]).read()
	EOF2
	started+=($!)
	wait_for 20 test -s "$scratch/zombie"
	zombie=$(<"$scratch/zombie")
}

halt "$daemon"
leaves_zombie
kill -CONT "$daemon"
claim "who ended before he was let in is no member" wait_for 20 logged "Process $zombie ended after it connected"
kill "${started[-1]}"
wait "${started[-1]}" || true
claim "nor is there a group of nobody" has_no_empty_root
finish
