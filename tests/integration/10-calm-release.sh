#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program that freed much and sits idle gives it back without any pressure.

. "$(dirname "$0")/lib.sh"

apart
start_daemon '[Trigger]\nRetainedHigh=32M\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n'
start_retainer 256

claim "the idle program gives its memory back" wait_for 60 rss_is_below "$retainer" 64
claim "the outcome is logged with its reason" wait_for 10 logged 'released [0-9.]+[KMG].*retained'
claim "the group shows what was released" \
	eval 'ctl --json=short list '"$retainer"' | jq -e ".[0].last_release.rss_before_bytes > 200000000" >/dev/null'

echo again >&9
claim "a second burst is noticed too" wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = 2 ]'
claim "and given back" wait_for 60 rss_is_below "$retainer" 64
exec 9>&-
claim "the program ends as it would have" wait "$retainer"

start_retainer 160
claim "reload is synchronous" ctl reload
configure '[Guard]\nMode=observe\n'
claim "observe can be switched to" ctl reload
claim "observe says what it would have done" wait_for 60 logged 'observe'
claim "and does nothing" eval '! rss_is_below "$retainer" 100'

# The last round that asked nobody is a newer one than when it was looked before.
age=0
is_observed_again()
{
	local before=$age

	age=$(ctl --json=short explain "$retainer" | jq '.[0] | select(.quiet_reason == "observe") | .quiet_age_usec')
	[ "${age:-0}" -lt "${before:-0}" ]
}

claim "it goes on observing" wait_for 60 is_observed_again
claim "and on" wait_for 60 is_observed_again
# Where it has no group of its own others may begin to retain something, too, and then it is told anew.
claim "and has told so once" eval '[ "$(grep -c "asked nobody" "$scratch/daemon.log")" -le \
	"$(tac "$scratch/daemon.log" | sed "/Configuration loaded/q" | grep -c "is retaining, was")" ]'

# Nothing is ever worth it: it retains for as long as usage goes up and down.
claim "somebody beside it goes up and down" configure '[Trigger]\nRetainedHigh=32M\n[Trim]\nMinRelease=1T\n'
claim "and it is asked for again" ctl reload
(
	enter
	while :; do
		head -c 30M /dev/zero | tail -c 30M >/dev/null
	done
) &
started+=($!)
is_told()
{
	ctl explain "$retainer" >"$scratch/explained"
	grep -q "State:.*calm for .*RetainedHigh= is reached, but usage is not steady" "$scratch/explained" &&
		grep -q "Next:.*has been steady" "$scratch/explained"
}
claim "that it waits for this is told" wait_for 60 is_told
finish
