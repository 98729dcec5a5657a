#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program without the hook that follows systemd's memory pressure protocol hears when its
# group is short of memory; one in another group does not.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
make_group 4000
mkdir "$group/a" "$group/b"

# By the protocol's document: connect, write what MEMORY_PRESSURE_WRITE says, wait for input.
cat >"$scratch/hearer.py" <<-'END'
	import base64, os, socket, sys
	hold = bytearray(int(sys.argv[1]) << 20)
	hold[::4096] = b"x" * len(hold[::4096])
	s = socket.socket(socket.AF_UNIX)
	s.connect(os.environ["MEMORY_PRESSURE_WATCH"])
	s.sendall(base64.b64decode(os.environ["MEMORY_PRESSURE_WRITE"]))
	print("ready", flush=True)
	while s.recv(64):
	    print("told", flush=True)
	print("end", flush=True)
END

# hear NAME GROUP MIB
hear()
{
	(
		[ -z "$2" ] || echo 0 >"$group/$2/cgroup.procs"
		MEMORY_PRESSURE_WATCH=$runtime/pressure \
			MEMORY_PRESSURE_WRITE=$(printf 'some 200000 2000000\0' | base64) \
			exec python3 "$scratch/hearer.py" "$3" >"$scratch/$1"
	) &
	hearer=$!
	started+=("$hearer")
	wait_for 60 grep -q ready "$scratch/$1"
}

told()
{
	grep -q told "$scratch/$1"
}

start_daemon '[Trigger]\nOomEtaSec=0\n'
claim "everybody may connect" eval '[ "$(stat -c %a "$runtime/pressure")" = 666 ]'
hear one a 100
hear two b 1
claim "far from the limit nobody is told" eval '! told one && ! told two'

echo $((125 << 20)) >"$group/a/memory.limit_in_bytes"
claim "above UsageHigh= the program is told" wait_for 30 told one
claim "but not one in another group" eval '! told two'

two=$hearer
echo "$two" >"$group/a/cgroup.procs"
claim "who is moved is told of the new group" wait_for 60 told two

mkdir "$group/c"
hear three c 1
echo "$hearer" >"$group/a/cgroup.procs"
rmdir "$group/c"
claim "also where the old one is removed at once" wait_for 60 told three

claim "who writes without end is closed" timeout 60 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    while True:
        s.sendall(b"x" * 4096)
except OSError:
    pass
' "$runtime/pressure"
claim "others are not" eval '! grep -q end "$scratch/one"'
claim "at the other door somebody is closed, which is told" eval \
	'timeout 60 "$shims/fake-hook" "$runtime/hook.sock" garbage && wait_for 20 logged "Closed the connection of process"'
chmod o+x "$scratch" "$runtime"
claim "no user fills it: the last one of too many is sent away" timeout 60 python3 -c '
import os, socket, sys
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    return s
all = [connect() for i in range(64)]
sys.exit(connect().recv(1) != b"")
' "$runtime/pressure"
claim "which hides not how many may hear of pressure, and what else there is" \
	logged 'pressure: 64 programs of user 65534 hear .* no more may: .*start it without MEMORY_PRESSURE_WATCH='
claim "the daemon is well" ctl status
kill "$daemon"
wait "$daemon" || true
claim "its end is seen" wait_for 20 grep -q end "$scratch/one"
claim "and leaves no socket" eval '! [ -e "$runtime/pressure" ]'

if unshare --fork --pid true 2>/dev/null; then
	runtime=$scratch/inner
	unshare --fork --pid --kill-child "$MEMGUARDD" --runtime-directory="$runtime" --config=/dev/null \
		2>"$scratch/inner.log" &
	inner=$!
	wait_for 20 test -S "$runtime/pressure"
	for i in 1 2; do
		claim "who is outside of the daemon's pid namespace is sent away, time $i" \
			timeout 60 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
sys.exit(s.recv(1) != b"")
' "$runtime/pressure"
	done
	# It ignores what asks it to end, and its child goes with it.
	kill -KILL "$inner"
	wait "$inner" 2>/dev/null || true
	claim "which is told, with what to do, once" eval '[ "$(grep -cE \
		"inner/pressure .*outside of this daemon.s pid namespace.*run memguardd" \
		"$scratch/inner.log")" = 1 ]'
fi
finish
