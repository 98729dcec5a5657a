#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A round gives way: a program is borrowed from, and grows meanwhile until a kill is near. The
# borrowing ends early and a full trim is asked for at once. Also with hooks that do not know
# that, or do not answer, whom it does not wait for.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for a cgroup with a limit"
make_group 4000
retainer_group=$group
name=${group#/sys/fs/cgroup/memory}
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\nUsageHigh=80%\nUsageCritical=85%\n[Trim]\nCooldownSec=1s\nStallBudgetMSec=0\n'

# round TRIGGER KEY : of the rounds by it that gave way, the last.
round()
{
	ctl --json=short history | python3 -c '
import json, sys
for past in json.load(sys.stdin):
    if past.get("trigger") == sys.argv[1] and "hurried" in past:
        value = past
        for key in sys.argv[2].split("."):
            value = value.get(key, "-")
        print(value)' "$@" | tail -n 1
}

gave_way()
{
	[ -n "$(round "$1" round)" ]
}

usage_bytes()
{
	cat "$group/memory.usage_in_bytes"
}

in_use_mib()
{
	ctl --json=short show "$program" | jq '((.[0]? // .).in_use_bytes) / 1048576 | floor'
}

end_program()
{
	kill "$program"
	exec 9>&-
	wait "$program" 2>/dev/null || true
}

# One that grows by an eighth when it sees that its memory goes, before all of it has gone.
start_retainer 256 4 grow=36
program=$retainer
claim "a busy program is measured" wait_for 60 is_measured "$program" "[1-9][0-9]"
# From half a percent of a processor on: that is what it is borrowed from for.
claim "and seen at work" wait_for 60 eval \
	'[ "$(ctl --json=short show $program | jq ".[0].busy_permyriad // .busy_permyriad")" -ge 50 ]'
# Else the new limit is so near in time that nothing is borrowed to begin with.
claim "and grows no more" wait_for 60 grows_no_more "$name"
in_use=$(in_use_mib)
echo $(($(usage_bytes) / 84 * 100)) >"$group/memory.limit_in_bytes"
claim "above UsageHigh= a round begins, and gives way" wait_for 60 gave_way usage-high
claim "because a kill is near" test "$(round usage-high hurried.reason)" = usage-critical
claim "it had grown" wait_for 60 grep -q grown "$scratch/out"
claim "the borrowing was followed by a full trim" test "$(round usage-high hurried.overtaken)" = 1
claim "and ended early for it" test "$(round usage-high hurried.ended_early)" = 1
claim "what it had given is told" test "$(round usage-high hurried.overtaken_bytes)" -gt 0
claim "both methods are" test "$(round usage-high method)" = mixed
claim "one process was asked, and answered" eval \
	'[ "$(round usage-high asked)" = 1 ] && [ "$(round usage-high answered)" = 1 ]'
claim "all of it counts" test "$(round usage-high rss_before_bytes)" -gt \
	$(($(round usage-high rss_after_bytes) + $(round usage-high hurried.overtaken_bytes)))
claim "the program goes on" kill -0 "$program"
claim "the log says why" logged 'because usage is above UsageHigh=, and .* later usage is above UsageCritical=: 1 of 1 borrowing ended early, after '
ctl history >"$scratch/history"
claim "history does" grep -q "1 of 1 answered, hurried: usage-critical" "$scratch/history"
ctl explain "$name" >"$scratch/explained"
claim "explain does" grep -q "Hurried:.*above UsageCritical=; 1 of 1 borrowing ended early for it, after" "$scratch/explained"
claim "the decision is recorded" eval 'ctl record "$program" last >"$scratch/last.round"'
# The others, when a kill and then the threshold was what it gave way to: the last one counts.
claim "as one to give way" grep -Eqx 'expect.yield = (all|others)' "$scratch/last.round"
claim "and replayed" "$top_builddir/tests/replay/replay" "$scratch/last.round"
claim "nothing is held of what was borrowed" test "$(in_use_mib)" -lt $((in_use + 16))
end_program

# start_fake MODE MIB : its pid in $fake, in the group, measured.
start_fake()
{
	(
		echo 0 >"$group/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" "$1" "$2" >"$scratch/$1"
	) &
	fake=$!
	started+=("$fake")
	wait_for 60 logged "Process $fake .*retained $2M"
}

# hurry MODE : somebody wishes that one and a good one are borrowed from, which only ends when it is
# asked for more, and the group grows by a third process.
hurry()
{
	local trim grower

	echo $((4000 << 20)) >"$group/memory.limit_in_bytes"
	start_fake good 24
	good=$fake
	start_fake "$1" 96
	echo $(($(usage_bytes) / 60 * 100)) >"$group/memory.limit_in_bytes"
	timeout 60 "$MEMGUARDCTL" --runtime-directory="$runtime" --json=short trim --method=borrow "$name" \
		>"$scratch/trim" 2>&1 &
	trim=$!
	claim "$1: borrowing begins" wait_for 60 grep -q 'asked reclaim' "$scratch/$1"
	mkfifo "$scratch/hold"
	(
		echo 0 >"$group/cgroup.procs"
		exec "$shims/retainer" $(($(cat "$group/memory.limit_in_bytes") / 100 * 31 >> 20)) 1 hold \
			<"$scratch/hold" >/dev/null
	) &
	grower=$!
	started+=("$grower")
	exec 8>"$scratch/hold"
	claim "$1: something else is asked for before it ends" wait_for 60 grep -q interrupted "$scratch/$1"
	claim "$1: the round ends" eval "wait $trim || true"
	# Whichever is seen first: usage, or how fast it grows.
	claim "$1: it gave way" grep -Eqx 'usage-critical|oom-eta' <<<"$(round command hurried.reason)"
	claim "$1: by one question" test "$(round command hurried.overtaken)" = 1
	claim "$1: which did not end the first" test "$(round command hurried.ended_early)" = 0
	claim "$1: the other one was asked after it" grep -q 'asked reclaim' "$scratch/good"
	exec 8>&-
	wait "$grower" 2>/dev/null || true
	rm "$scratch/hold"
	kill "$good" "$fake" 2>/dev/null || true
	wait "$good" "$fake" 2>/dev/null || true
	claim "$1: all have left" wait_for 60 eval '! is_member $good && ! is_member $fake'
}

hurry old
starved=$(n_starved "($good|$fake)")
claim "an old hook has answered both" test "$(round command answered)" = $((2 - starved))
claim "the log says that it went on" logged '0 of 1 borrowing ended early'
hurry endless
claim "who works on is not waited for" test "$(round command timed_out)" = $((1 + $(n_starved "$good")))
hurry skipping
claim "who answers in another order is closed" test "$(round command gone)" = 1

finish
