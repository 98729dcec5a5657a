#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A member that stops in the middle of a release does not hold up the others of its group,
# however long its deadline is: what takes no CPU time is gone on without.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'

# start_fake MODE MIB : its pid in $fake, measured, so that no question is open.
start_fake()
{
	"$shims/fake-hook" "$runtime/hook.sock" "$1" "$2" >"$scratch/$1" &
	fake=$!
	started+=("$fake")
	wait_for 60 logged "Process $fake .*retained $2M"
}

# The largest are asked first.
start_fake stuck 48
stuck=$fake
start_fake good 24
good=$fake

claim "the round ends although one does not answer" ctl --json=short trim /
claim "for whose deadline it does not wait" logged "Process $stuck .* takes no CPU time: going on without it"
claim "the stuck one was asked first" grep -q 'asked reclaim' "$scratch/stuck"
claim "the other one gave back" grep -q 'asked reclaim' "$scratch/good"
claim "and is still a member" is_member "$good"
claim "so is the stuck one" is_member "$stuck"

# A second round: the question is still open, and is not waited for either.
start_fake full-only 32
claim "another one ends while that question is open" ctl --json=short trim /
claim "which was not waited for" eval \
	'[ "$(grep -c "Process $stuck .* going on without it" "$scratch/daemon.log")" = 1 ]'
claim "everybody else is asked again" grep -q 'asked reclaim' "$scratch/full-only"

finish
