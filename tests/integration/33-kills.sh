#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the kernel killed and when is in the history, among the rounds, and stays there.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
make_group 96
path=${group#/sys/fs/cgroup/memory}

in_group()
(
	echo "$BASHPID" >"$group/cgroup.procs"
	"$@"
)

# Asks for more than the limit at once, and is killed; never the small one beside it.
greedy()
{
	in_group sh -c 'echo 1000 >/proc/self/oom_score_adj; exec "$1" 300' - "$shims/retainer" \
		>/dev/null 2>&1 </dev/null || true
}

# killed N [KINDS] : so many processes, in all rows of the history.
killed()
{
	[ "$(ctl --json=short history "$path" | jq 'map(.killed // 0) | add // 0')" = "$1" ]
}

# Else a round of its own, for which the group is full, may end before or after the kill.
start_daemon '[Guard]\nMode=observe\n[Trigger]\nRetainedHigh=0\n'
retainer_group=$group start_retainer 8
wait_for 20 is_member "$retainer"
claim "nothing was killed so far" killed 0
greedy
claim "the kernel killed one" grep -qx 'oom_kill 1' "$group/memory.oom_control"
claim "the history has it" wait_for 60 killed 1
claim "with its time, its limit and what it is" eval \
	'ctl --json=short history "$path" | jq -e --argjson now "$(date +%s)" --arg name "$path" \
	"map(select(.kind == \"killed\"))[0] | .name == \$name and .limit_bytes == 100663296 and
	(.ended_realtime_usec / 1000000 - \$now | fabs) < 600 and has(\"round\") == false"'
claim "status tells it as what happened last" eval \
	'COLUMNS=200 ctl status | has -F "killed by the kernel "'
ctl trim "$retainer" >/dev/null
claim "until a release comes after it" eval '! COLUMNS=200 ctl status | has -F "killed by the kernel "'
claim "rounds come after it, by their time" eval \
	'[ "$(ctl --json=short history "$path" | jq -r "map(.kind) | last")" = released ]'
claim "a round is a round in the status" eval \
	'[ "$(ctl --json=short status | jq .rounds)" = "$(ctl --json=short history | jq "map(select(.round)) | length")" ]'
greedy
claim "the next one is another row" wait_for 60 killed 2
claim "and explain tells how long ago" eval \
	'ctl explain "$path" | grep -Eq "Kills: +the kernel.s OOM killer acted here 2 times, the last one [0-9]"'
claim "which people see as such" eval \
	'ctl history "$path" >"$scratch/told" && cat "$scratch/told" &&
	[ "$(grep -c " oom-kill .* the kernel killed 1 process" "$scratch/told")" = 2 ]'

# Beside one that is larger and calm; the one that was killed in is looked for.
group_of_hint()
{
	COLUMNS=200 ctl status | sed -n 's/^Hint: memguardctl explain //p'
}
hooked MEMGUARD_AGENT=always /usr/bin/python3 -c "x = bytearray(120 << 20); import time; time.sleep(1000)" 9>&- &
beside=$!
started+=("$beside")
wait_for 60 is_member "$beside"
claim "the group of a kill is the first to look at" eval '[ "$(group_of_hint)" = "$path" ]'
exec 9>&-
wait "$retainer" || true
claim "also when nobody is left in it" wait_for 60 eval \
	'ctl --json=short explain "$path" | jq -e ".[0].members == 0" && [ "$(group_of_hint)" = "$path" ]'
claim "and nobody is sent to a process that has gone" eval \
	'! ctl explain "$path" | has -E "(heaptrack --pid|pmap -x|kill -CONT) [0-9]|/proc/[0-9]"'
rmdir "$group"
claim "it is remembered when the group is gone" wait_for 90 eval \
	'! ctl list "$path" >/dev/null 2>&1 && killed 2'

# advises WHAT : is it the advice for the group?
advises()
{
	ctl --json=short explain "$path" | jq -e --arg what "$1" '.[0].advice | map(.name) == [$what]'
}

# As a service that is started again.
mkdir "$group"
echo $((96 << 20)) >"$group/memory.limit_in_bytes"
retainer_group=$group start_retainer 8
claim "it is known of a new group of that name" wait_for 60 eval \
	'ctl explain "$path" | grep -Eq "Kills: +the kernel.s OOM killer acted .* ago, before this began"'
claim "whose limit is to be raised" wait_for 60 advises raise-limit
echo $((200 << 20)) >"$group/memory.limit_in_bytes"
claim "until it was" wait_for 60 advises none
exec 9>&-
wait "$retainer" || true
finish
