#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Exec= near a kill: the command is started by a helper that is there since the start, knows
# what happened, and runs once at a time. A helper that is killed is replaced, one that is
# not needed is not there.

. "$(dirname "$0")/lib.sh"

make_group 128
conf='[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n[Trim]\nCooldownSec=1s\n'

# Waits while there is a file "hold"; "runs" has a letter for each that began.
cat >"$scratch/command" <<-EOF
	#!/bin/sh
	printf x >>$scratch/runs
	env >$scratch/environment
	echo "\$PPID" >$scratch/helper
	while [ -e $scratch/hold ]; do sleep 0.05; done
	echo "\$*" >$scratch/words
	exit 5
EOF
chmod +x "$scratch/command"

helper_of()
{
	pgrep -P "$1" -x memguard-helper
}

n_runs_are()
{
	[ "$(cat "$scratch/runs" 2>/dev/null | wc -c)" "$1" "$2" ]
}

start_daemon "$conf"
claim "without Exec= there is no helper" eval '! helper_of "$daemon"'
configure "${conf}MaxPerHour=2\n[Alert]\nExec=$scratch/command two words\n"
ctl reload
claim "a reload with one starts it" wait_for 20 helper_of "$daemon"
helper=$(helper_of "$daemon")
helper_private=$(awk '/^Private/ { n += $2 } END { print n }' "/proc/$helper/smaps_rollup")
echo "# private memory of the helper: $helper_private KiB"
if [ -z "${SANITIZED:-}" ]; then
	claim "it is small: $helper_private KiB" test "$helper_private" -lt 512
fi

# start_stuck MIB : one that holds so much, and does not answer.
start_stuck()
{
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" stuck "$1" >"$scratch/fake-$1"
	) &
	started+=($!)
}

usage_bytes()
{
	cat "$group/memory.usage_in_bytes"
}

# is_filled MIB : it holds as much, and takes no more.
is_filled()
{
	local before=${used:-}

	used=$(usage_bytes)
	[ "$used" -ge $(($1 << 20)) ] && [ "$used" = "$before" ]
}

touch "$scratch/hold"
start_stuck 40
wait_for 60 is_filled 40
# Up to 93 % of the limit, whatever a sanitizer takes of each besides.
start_stuck $((128 * 93 / 100 - 2 * (used >> 20) + 40))
claim "the command runs when usage is critical" wait_for 60 test -s "$scratch/helper"
claim "started by the helper" [ "$(cat "$scratch/helper")" = "$helper" ]
claim "it is told the group" grep -q "^MEMGUARD_GROUP=.*/${group##*/}\$" "$scratch/environment"
claim "and the limit" grep -qx "MEMGUARD_LIMIT_BYTES=$((128 << 20))" "$scratch/environment"
# It may have been high for a moment before, and the round have been hurried then.
claim "and why" grep -qxE 'MEMGUARD_(TRIGGER|HURRIED)=usage-critical' "$scratch/environment"
claim "and the verdict" grep -q '^MEMGUARD_VERDICT=.' "$scratch/environment"
claim "and nothing of the daemon's own" eval '! grep -qE "^(HOME|HOOK|MEMGUARDD)=" "$scratch/environment"'
claim "no other is started beside it" wait_for 30 logged 'still runs: no other'
claim "it is one" n_runs_are -eq 1
rm "$scratch/hold"
claim "it gets its words" wait_for 20 grep -qx 'two words' "$scratch/words"
claim "and how it ended is told" wait_for 20 logged 'The Exec= command ".*/command two words" for .* exited with status 5'
claim "then it is started again, once more in this hour" wait_for 30 n_runs_are -gt 1
claim "and that was all" wait_for 30 eval 'ctl --json=short explain "$(pgrep -P $$ -x fake-hook | head -n 1)" |
	has "\"step\":\"command\"[^}]*\"reason\":\"max-per-hour\""'
claim "it is two" n_runs_are -eq 2
configure "$conf[Alert]\nExec=$scratch/command two words\n"
ctl reload

touch "$scratch/hold"
kill -9 "$helper"
claim "that the helper was killed is told" wait_for 20 logged 'helper of Exec= and MemoryReclaim= has ended'
n=$(wc -c <"$scratch/runs")
rm "$scratch/hold"
claim "there is another one" wait_for 60 logged 'There is a helper again'
claim "and the command runs again" wait_for 60 n_runs_are -gt "$n"
# One that the old helper had just started may have come first.
claim "started by that" wait_for 60 eval '[ "$(cat "$scratch/helper")" != "$helper" ]'

configure "$conf"
ctl reload
claim "without Exec= it goes" wait_for 60 eval '! helper_of "$daemon"'

# The same without a daemon, also as PID 1. What the program holds cannot be released.
printf '[Trigger]\nUsageHigh=20%%\nUsageCritical=40%%\nRetainedHigh=0\n[Trim]\nCooldownSec=1s\n[Alert]\nExec=%s run\n' \
	"$scratch/command" >"$scratch/run.conf"
for as in "" "unshare --fork --pid --mount-proc"; do
	if [ -n "$as" ] && ! $as true 2>/dev/null; then
		continue
	fi
	rm -f "$scratch/words" "$scratch/in"
	mkfifo "$scratch/in"
	$as "$MEMGUARDCTL" run --hook="$HOOK" --config="$scratch/run.conf" --limit=300M \
		--runtime-directory="$scratch/run-alone" -- "$shims/retainer" 200 4 hold \
		<"$scratch/in" >"$scratch/out" 2>"$scratch/run.err" &
	started+=($!)
	exec 9>"$scratch/in"
	claim "memguardctl run has it started too${as:+, as PID 1}" wait_for 60 grep -qx run "$scratch/words"
	exec 9>&-
	wait $! || true
	[ -z "$as" ] || claim "and reaps the helper" eval '! grep -q Cannot "$scratch/run.err"'
done
finish
