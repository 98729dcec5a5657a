#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The method that a command names reaches the hook, and a hook that cannot borrow is known
# as such afterwards. With a fake hook: what the real one does then has tests of its own.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'

wait_for 20 test -S "$runtime/hook.sock"
"$shims/fake-hook" "$runtime/hook.sock" good 24 >"$scratch/good" &
started+=($!)
good=$!
# Measured, so that no question is open.
wait_for 60 logged "Process $good .*retained 24M"

trim()
{
	ctl --json=short trim "$@"
}
says()
{
	local text=$1

	shift
	"$@" >"$scratch/says" 2>&1 || true
	grep -q "$text" "$scratch/says" || {
		cat "$scratch/says"
		return 1
	}
}

claim "trim --method=borrow borrows" says '"method": *"borrow"' trim --method=borrow "$good"
claim "and says why" says '"method_reason": *"setting"' trim --method=borrow "$good"
claim "trim --method=full does not" says '"method": *"full"' trim --method=full "$good"
claim "trim takes no other method" says 'takes auto, full or borrow' trim --method=gentle "$good"
claim "show tells the last method" says '"method": *"full"' \
	ctl --json=short show "$good"
claim "and what borrowing would do" says '"borrow_stall_usec"' \
	ctl --json=short show "$good"

"$shims/fake-hook" "$runtime/hook.sock" full-only 24 >"$scratch/full-only" &
started+=($!)
old=$!
wait_for 60 logged "Process $old .*retained 24M"
claim "a hook that cannot borrow refuses" says '"refused": *1' trim --method=borrow "$old"
claim "and says why" says '"refused_reason": *"no-borrow"' trim --method=borrow "$old"
claim "in words" eval '{ ctl trim --method=borrow "$old" || true; } | has "1 refused (its hook cannot borrow: try --method=full)"'
claim "history too" eval 'ctl history | has "failed: nobody answered, 1 refused: no-borrow"'
claim "it was asked to" grep -q 'cannot borrow' "$scratch/full-only"
claim "and still trims in full" says '"kind": *"released"' trim "$old"

# Nobody knows for how long a full trim would stall it, so its figures come first.
"$shims/fake-hook" "$runtime/hook.sock" unmeasured 64 >"$scratch/unmeasured" &
started+=($!)
unknown=$!
wait_for 60 grep -q 'not measured' "$scratch/unmeasured"
claim "who cannot be measured is trimmed in full" \
	says '"method_reason": *"unknown"' trim "$unknown"
"$shims/fake-hook" "$runtime/hook.sock" unmeasured 64 >"$scratch/measured" &
started+=($!)
unknown=$!
wait_for 60 grep -q 'not measured' "$scratch/measured"
kill -USR1 "$unknown"
claim "a command has it measured, and chooses by that" \
	says '"method_reason": *"stall"' trim "$unknown"
claim "and knows what to expect" eval 'ctl --json=short history | jq -e "last.expected_bytes > 60000000"'
claim "explain has a plan" says '"plan": *{' \
	ctl --json=short explain

finish
