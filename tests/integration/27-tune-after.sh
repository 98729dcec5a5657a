#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# TuneAfter=2: nothing is set in a program until two of its releases came to nothing; then it
# is, once, and explain shows each step of the ladder.

. "$(dirname "$0")/lib.sh"

# What others do beside it must not count as its doing.
make_group 400
start_daemon '[Trigger]\nRetainedHigh=32M\n[Trim]\nCooldownSec=1s\n[Tune]\nTuneAfter=2\nMmapThreshold=1M\nTrimThreshold=2M\nArenaMax=1\n' --user
# The second arena is more than glibc asks for, so that the limit comes too late.
GLIBC_TUNABLES=glibc.malloc.arena_test=1 retainer_group=$group start_retainer 150 2

# step NAME KEY : of a step of the group's ladder.
step()
{
	ctl --json=short explain "$retainer" |
		jq -r ".[0].steps[] | select(.step == \"$1\") | .$2"
}

burst()
{
	echo again >&9
	wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = '"$1"' ]'
	wait_for 90 rss_is_below "$retainer" 80
}

# On a machine that is busy a round may come in the middle of a burst, which then does not count.
is_taken()
{
	local i

	for i in 4 5 6 7 8; do
		wait_for 20 eval '[ "$(step tune reason)" = taken ]' && return
		burst $i
	done
	return 1
}

claim "the first burst is given back" wait_for 60 rss_is_below "$retainer" 80
claim "nothing is set yet" test "$(ctl --json=short list "$retainer" | jq -c '.[0].tuned')" = "[]"
claim "the ladder waits for more" test "$(step tune reason)" = below
claim "the second burst is given back" burst 2
claim "and the third" burst 3
claim "the step is taken" is_taken
claim "the program has all settings" wait_for 20 eval \
	'ctl --json=short list "$retainer" | jq -e ".[0].tuned | length == 3" >/dev/null'
claim "the log says what was set" logged 'MmapThreshold= is set to 1048576'
claim "and of whose daemon to ask about what came too late" \
	wait_for 20 logged 'ArenaMax= is set to 1, too late.*"memguardctl --user tune"'
ctl explain "$retainer" >"$scratch/explained"
claim "explain shows the ladder" grep -qE '^tune +TuneAfter= .* 1 ' "$scratch/explained"
exec 9>&-

configure '[Tune]\nMmapThreshold=64M\n'
ctl reload
"$shims/fake-hook" "$runtime/hook.sock" untunable 1 >"$scratch/untunable" &
started+=($!)
claim "what a libc does not take is told" \
	wait_for 20 logged '\(fake-hook\): its allocator does not take MmapThreshold=67108864, which'
finish
