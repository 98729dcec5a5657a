#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the service manager is told, by a socket that plays its part: ready, and of each reload
# when it began and that it is over, as Type=notify-reload wants it (systemd 253 and later).

. "$(dirname "$0")/lib.sh"

# Prints each message as one line, with "|" for its ends of line.
cat >"$scratch/manager.py" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1].replace("@", "\0"))
	print("bound", flush=True)
	while True:
	    print(s.recv(4096).decode().replace("\n", "|"), flush=True)
END

# start_manager ADDRESS
start_manager()
{
	python3 "$scratch/manager.py" "$1" >"$scratch/told" &
	started+=($!)
	wait_for 20 grep -qx bound "$scratch/told"
	export NOTIFY_SOCKET=$1
}

# n_told WORD : how many messages were that
n_told()
{
	grep -cE "^$1\$" "$scratch/told" || true
}

has_told()
{
	[ "$(n_told "$1")" -ge "$2" ]
}

monotonic_usec()
{
	python3 -c 'import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)'
}

# Of the last reload: not before what it answers, or the manager would wait for another one.
begun_since()
{
	[ "$(sed -n 's/^RELOADING=1|MONOTONIC_USEC=//p' "$scratch/told" | tail -n 1)" -ge "$1" ]
}

order()
{
	[ "$(grep -v STATUS= "$scratch/told" | sed 's/|.*//' | tr '\n' ' ')" = "$1" ]
}

start_manager "$scratch/notify"
start_daemon
claim "it says when it is ready, once" wait_for 20 has_told READY=1 1
claim "and not that it reloads when it starts" order "bound READY=1 "

before=$(monotonic_usec)
kill -HUP "$daemon"
wait_for 20 has_told READY=1 2 || true
claim "SIGHUP: that it reloads, and that it has" order "bound READY=1 RELOADING=1 READY=1 "
claim "with the time, which is after the signal's" begun_since "$before"

for _ in 1 2 3 4 5; do
	"$shims/fake-hook" "$runtime/hook.sock" good 0 >/dev/null &
	started+=($!)
done
claim "of many changes at once the last is told too" \
	wait_for 20 grep -q 'STATUS=Guarding 5 processes' "$scratch/told"

echo nonsense >"$scratch/memguard.conf"
before=$(monotonic_usec)
kill -HUP "$daemon"
wait_for 20 has_told READY=1 3 || true
claim "a bad file: the same, or the manager would wait" \
	order "bound READY=1 RELOADING=1 READY=1 RELOADING=1 READY=1 "
claim "with its own time" begun_since "$before"

echo >"$scratch/memguard.conf"
claim "by memguardctl as well" ctl reload
claim "that is told, too" wait_for 20 has_told READY=1 4
kill "$daemon"
claim "it says that it stops" wait_for 20 has_told STOPPING=1 1
wait "$daemon" || true

start_manager "@memguard-test-$$"
start_daemon
claim "an abstract socket will do" wait_for 20 has_told READY=1 1
finish
