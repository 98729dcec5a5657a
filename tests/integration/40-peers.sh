#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Peers that send garbage, half a frame, nothing, too much, or vanish: none disturbs the
# daemon or a good member.

. "$(dirname "$0")/lib.sh"

apart
start_daemon
start_retainer 64
claim "a good member joins" wait_for 20 is_member "$retainer"

# As after an upgrade of the daemon.
PYTHONPATH=$(dirname "$0")/../shim python3 - "$runtime/hook.sock" <<-'END'
	import socket, struct, sys
	from hook_peer import *

	conn = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	conn.settimeout(LIMIT_SEC)
	conn.connect(sys.argv[1])
	conn.send(frame(HELLO, b"\0" * 64, id=0, version=VERSION - 1))
	assert conn.recv(4096) == b""
END
claim "of a hook of another version is told what to do" \
	wait_for 20 logged 'Closed the connection of process .*no hook of this version.*restart it'

# misbehave MODE : the shim in that mode, for as long as it cares to stay.
misbehave()
{
	timeout 20 "$shims/fake-hook" "$runtime/hook.sock" "$1" >/dev/null 2>&1 || true
}

modes="garbage half long silent twice flood vanish lying deaf mute half-answer garbage-answer \
	wrong-id more-rows refusing bye"
for mode in $modes; do
	misbehave "$mode" &
	started+=($!)
done
claim "the member can still be asked" trims "$retainer"
claim "the daemon answers" ctl status
wait "${started[@]:2}" 2>/dev/null || true
claim "the liars are gone" wait_for 30 eval \
	'[ "$(ctl --json=short list | jq length)" = 1 ]'
claim "and fill no journal: of all that were closed one line is told" eval \
	'[ "$(grep -c "Closed the connection of .*restart it" "$scratch/daemon.log")" = 1 ]'

n_rounds()
{
	ctl --json=short status | jq .rounds
}

rounds=$(n_rounds)
claim "there was a round" test "$rounds" -gt 0
claim "a reload" ctl reload
claim "loses no member" is_member "$retainer"
claim "and no round" test "$(n_rounds)" = "$rounds"

halt "$retainer"
claim "row 50: a frozen member is told as such" eval \
	'timeout 60 "$MEMGUARDCTL" --runtime-directory="$runtime" show '"$retainer"' |
	grep "it is stopped: SIGCONT lets it go on"'
kill -CONT "$retainer"
claim "and answers again when it thaws" wait_for 60 eval 'ctl trim '"$retainer"' >/dev/null'

# told WORD : in the last answer to trim, of the retainer.
told()
{
	has "^\[1,\"$1\",$retainer\]$" <(jq -c ".[0] | [.timed_out, .timed_out_reason, .timed_out_pid]" \
		"$scratch/trim")
}

trim_retainer()
{
	ctl --json=short trim "$retainer" >"$scratch/trim" || true
}

halt "$retainer"
trim_retainer
claim "who trims is told that it is stopped" told stopped
claim "and what to do" grep -q "process $retainer is stopped: SIGCONT lets it go on" "$scratch/trim"
claim "so is who asks later" eval "ctl explain $retainer | has 'none of 1 process answered (process $retainer is stopped: SIGCONT'"
claim "and in history" eval 'ctl history | has "failed: nobody answered, 1 timed out: stopped"'
trim_retainer
claim "who trims again is told the same" told stopped
claim "who tunes is told" eval \
	'{ ctl --json=short tune '"$retainer"' ArenaMax=2 2>&1 || true; } | has "is stopped: SIGCONT"'
claim "list has it" eval 'COLUMNS=160 ctl list '"$retainer"' | has "stopped"'
claim "so does JSON" eval 'ctl --json=short list '"$retainer"' | jq -e ".[0].stopped"'
kill -CONT "$retainer"
claim "it goes on" wait_for 60 eval 'ctl trim '"$retainer"' >/dev/null'

# is_old : what is known of the retainer is so old that a command asks for its figures first. The daemon by
# itself would have by then, had it anything to ask for: it will not as long as nothing moves.
is_old()
{
	ctl --json=short list "$retainer" | jq -e ".[0] | .stats_age_usec > 4000000 and .failures == 0"
}

freezer=/sys/fs/cgroup/freezer/memguard-test-$$
if mkdir "$freezer" 2>/dev/null; then
	claim "its figures get old" wait_for 60 is_old
	echo "$retainer" >"$freezer/cgroup.procs"
	echo FROZEN >"$freezer/freezer.state"
	claim "it is frozen, which its state does not say" wait_for 20 grep -q FROZEN "$freezer/freezer.state"
	trim_retainer
	claim "who trims is told that it is frozen" told frozen
	claim "and has not waited for as long as figures may take" eval \
		'[ "$(ctl --json=short list "$retainer" | jq ".[0].failures")" = 0 ]'
	echo THAWED >"$freezer/freezer.state"
	echo "$retainer" >/sys/fs/cgroup/freezer/cgroup.procs
	rmdir "$freezer"
	claim "it is there again when it thaws" wait_for 60 eval 'ctl trim '"$retainer"' >/dev/null'
fi

"$shims/fake-hook" "$runtime/hook.sock" mute >/dev/null 2>&1 &
mute=$!
started+=("$mute")
claim "one joins that never answers" wait_for 20 is_member "$mute"
ctl --json=short trim "$mute" >"$scratch/mute" || true
claim "of whom a command is told that it did not answer, and not that it is busy" eval \
	'[ "$(jq -c ".[0] | [.timed_out, .refused]" "$scratch/mute")" = "[1,0]" ]'
claim "and that it takes no CPU time" grep -q "process $mute takes no CPU time" "$scratch/mute"
kill "$mute"

kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
rm -f "$runtime/bus"
start_daemon
claim "after kill -9 of the daemon the member comes back by itself" wait_for 60 is_member "$retainer"
claim "the program noticed nothing" kill -0 "$retainer"
finish
