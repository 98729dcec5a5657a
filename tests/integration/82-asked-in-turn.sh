#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Commands that ask a process: of one that is stopped or frozen they say so, and send it nothing;
# one that is at another question they ask when that has ended.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

is_told()
{
	ctl --json=short show "$retainer" >"$scratch/shown"
	jq -c '.[0] | { error, stats_age_usec }' "$scratch/shown"
	jq -e --arg error "$1; these are the last known figures" '.[0].error == $error' "$scratch/shown"
}
is_fresh()
{
	ctl --json=short show "$retainer" >"$scratch/shown"
	jq -e '.[0].error == null' "$scratch/shown"
}

start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'
start_retainer 40 1
wait_for 20 is_member "$retainer"
claim "a process that runs is asked" wait_for 20 is_fresh

halt "$retainer"
claim "show: one that is stopped" is_told "is stopped: SIGCONT lets it go on"
claim "in words, with the age of its figures" eval \
	'ctl show "$retainer" | tr -s "\n " " " | has "Problem: it is stopped: .* last known figures, .* old"'
claim "tune: the same" eval \
	'! ctl --json=short tune "$retainer" TrimThreshold=1M >"$scratch/tuned" &&
	 jq -e ".[0].text == \"is stopped: SIGCONT lets it go on\"" "$scratch/tuned"'
claim "diagnose: says what holds it" eval \
	'{ ctl diagnose "$retainer" 2>/dev/null || true; } | tr -s "\n " " " |
	 has "Release: none was made: process $retainer is stopped: SIGCONT lets it go on"'
claim "and that it is a guess" eval \
	'! ctl diagnose "$retainer" >"$scratch/told" 2>&1 && grep -q "No process could be released from" "$scratch/told"'
kill -CONT "$retainer"
claim "it goes on, and is asked" wait_for 20 is_fresh

freezer=/sys/fs/cgroup/freezer/memguard-test-$$
if mkdir "$freezer" 2>/dev/null; then
	echo "$retainer" >"$freezer/cgroup.procs"
	echo FROZEN >"$freezer/freezer.state"
	wait_for 20 grep -q FROZEN "$freezer/freezer.state"
	claim "show: one that is frozen" is_told "is frozen with its control group: thaw that"
	echo THAWED >"$freezer/freezer.state"
	claim "it is thawed, and asked" wait_for 20 is_fresh
	echo "$retainer" >"$freezer/../cgroup.procs"
	rmdir "$freezer"
else
	echo "ok - one that is frozen # SKIP no freezer on cgroup v1 here"
fi

# At a release, until a SIGUSR1: its pid in $fake, that of "show" of it in $show.
show_of_working()
{
	"$shims/fake-hook" "$runtime/hook.sock" working 24 >"$scratch/fake" &
	fake=$!
	started+=("$fake")
	wait_for 20 is_member "$fake"
	ctl --json=short trim "$fake" >"$scratch/trimmed" &
	trim=$!
	started+=("$trim")
	wait_for 20 grep -q 'asked reclaim' "$scratch/fake"
	ctl --json=short show "$fake" >"$scratch/shown" 2>/dev/null &
	show=$!
	started+=("$show")
	claim "who is at another question is not asked yet" \
		wait_for 20 logged "Process $fake is at another question"
}

show_of_working
kill -USR1 "$fake"
claim "but then" wait "$show"
claim "and its figures are fresh" jq -e '.[0].error == null' "$scratch/shown"
claim "the other one is answered, too" wait "$trim"

show_of_working
kill "$fake"
claim "one that ends meanwhile fails" eval '! wait "$show"'
claim "and is told to have gone" grep -q '"gone": *true' "$scratch/shown"
wait "$trim" || true

finish
