#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the daemon will need in a crisis it does once at its start: where something is not
# allowed it says so then, with what to do, and goes on with the rest.

. "$(dirname "$0")/lib.sh"

[ -z "${SANITIZED:-}" ] || skip "a sanitizer needs calls of its own"
"${CC:-cc}" -O1 -o "$scratch/deny" "$(dirname "$0")/deny.c" -D_GNU_SOURCE || skip "no compiler here"
printf '[Alert]\nExec=/bin/true\n' >"$scratch/memguard.conf"
"$scratch/deny" mlockall /bin/true || skip "no filter of system calls may be set here"

# begin [COMMAND...] : the daemon under COMMAND; its log is a new one.
begin()
{
	rm -rf "$scratch/daemon.log" "$runtime"
	"$@" "$MEMGUARDD" --log-level=debug --runtime-directory="$runtime" \
		--config="$scratch/memguard.conf" 2>"$scratch/daemon.log" &
	daemon=$!
	started+=("$daemon")
}

is_at_work()
{
	ctl status
}

end()
{
	kill "$daemon"
	wait "$daemon" || true
}

begin
claim "the daemon is at work" wait_for 20 is_at_work
if [ "$(id -u)" = 0 ]; then
	claim "and has nothing to say where all is allowed" eval '! logged "Cannot "'
fi
claim "its helper too" logged 'is the helper of Exec='
end

# denied CALL TEXT... : each TEXT is said, and the daemon works.
denied()
{
	local call=$1 text

	shift
	begin "$scratch/deny" "$call"
	claim "without $call it is at work" wait_for 20 is_at_work
	for text; do
		claim "and says: $text" logged "$text"
	done
	end
}

denied mlockall 'Cannot lock its memory: Operation not permitted; .*LimitMEMLOCK='
denied socketpair 'Cannot exchange a frame over a socket: Operation not permitted; .*SystemCallFilter=' \
	'Cannot make a signal for the bus: ' \
	'Cannot start the helper of Exec= and MemoryReclaim=: Operation not permitted; .*SystemCallFilter='
if "$scratch/deny" vfork /bin/true; then
	denied vfork 'The helper cannot start a process, .*: Operation not permitted; .*SystemCallFilter='
fi
own=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ { print $3 }' /proc/self/cgroup)
if [ "$(id -u)" = 0 ] && [ -e "/sys/fs/cgroup/memory${own%/}/cgroup.event_control" ]; then
	denied eventfd2 'Cannot arm a trigger .*: Operation not permitted; groups are looked at by time alone'
fi

# Its standard error is taken for the journal's, which is not there.
if [ ! -e /run/systemd/journal/socket ]; then
	: >"$scratch/journal.log"
	JOURNAL_STREAM=$(stat -c %d:%i "$scratch/journal.log") "$MEMGUARDD" \
		--runtime-directory="$scratch/journal" --config="$scratch/memguard.conf" \
		2>>"$scratch/journal.log" &
	started+=($!)
	claim "without a journal it says so" wait_for 20 \
		grep -q '^<4>Cannot write to the journal: No such file' "$scratch/journal.log"
fi
finish
