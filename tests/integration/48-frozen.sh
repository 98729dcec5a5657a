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

# Its deadline is 30 s; 20 are for a machine that does other things.
claim "the round ends although one does not answer" \
	timeout 20 "$MEMGUARDCTL" --runtime-directory="$runtime" --json=short trim /
claim "the stuck one was asked first" grep -q 'asked reclaim' "$scratch/stuck"
claim "the other one gave back" grep -q 'asked reclaim' "$scratch/good"
claim "and is still a member" is_member "$good"
claim "so is the stuck one" is_member "$stuck"

# A second round: the question is still open, and is not waited for either.
start_fake full-only 32
claim "nor is it waited for while its question is open" \
	timeout 20 "$MEMGUARDCTL" --runtime-directory="$runtime" --json=short trim /
claim "everybody else is asked again" grep -q 'asked reclaim' "$scratch/full-only"

finish
