#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Two groups under one limit: what the sibling holds counts, and the member's group is asked
# when the parent comes near its limit, however small its own part is. What the kernel does for
# that limit is known of both, and people are warned once.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
make_group 390
mkdir "$group/a" "$group/b"
base=/sys/fs/cgroup/memory
path=${group#"$base"}/a

# figure KEY : of the member's group; the first one is not its last outcome's.
figure()
{
	ctl --json=short explain "$path" | grep -oE "\"$1\":[^,}]*" | head -n 1 | cut -d: -f2-
}

# alerts KIND : how many were told of all groups below it.
alerts()
{
	grep -c "$1" "$scratch/daemon.log"
}

others_mib()
{
	echo $(($(figure others_bytes) >> 20))
}

# One line for each time that it is started; it ends when there is no file "hold".
cat >"$scratch/command" <<-EOF
	#!/bin/sh
	echo "\$MEMGUARD_GROUP" >>$scratch/runs
	while [ -e $scratch/hold ]; do sleep 0.05; done
EOF
chmod +x "$scratch/command"
touch "$scratch/hold"

start_daemon "[Alert]\nExec=$scratch/command\n"'[Trigger]\nRetainedHigh=0\nOomEtaSec=0\nUsageHigh=75%\n[Trim]\nCooldownSec=1s\n'
retainer_group=$group/a start_retainer 100
claim "the limit is told to be the parent's" wait_for 20 eval \
	'[ "$(figure limit_of)" = "\"${group#"$base"}\"" ]'
claim "far from it nothing is released" eval '! rss_is_below '"$retainer"' 80'

mkfifo "$scratch/in-b"
(
	echo 0 >"$group/b/cgroup.procs"
	exec "$shims/retainer" 200 1 hold <"$scratch/in-b" >"$scratch/out-b" 9>&-
) &
sibling=$!
started+=("$sibling")
exec 8>"$scratch/in-b"
claim "the sibling holds memory" wait_for 60 grep -q held "$scratch/out-b"
claim "so the member's group is asked" wait_for 20 rss_is_below "$retainer" 60
claim "because usage is high" wait_for 20 eval 'has usage-high <(ctl --json=short history)'
claim "what the sibling holds is shown" wait_for 20 eval '[ "$(others_mib)" -ge 180 ]'
claim "and whose limit it is" has "of ${group#"$base"}, of which others there have" \
	<(ctl explain "$path" | tr -s ' \n' '  ')

# Both have the hook now, and hold what they have: only the limit is lowered.
claim "nobody is warned yet" [ "$(alerts 'usage stays above UsageCritical=')" = 0 ]
(
	echo 0 >"$group/b/cgroup.procs"
	exec "$shims/fake-hook" "$runtime/hook.sock" good 0 >/dev/null
) &
beside=$!
started+=("$beside")
sibling_path=${group#"$base"}/b
claim "how often the limit was hit is told" [ -n "$(figure shared_limit_hits)" ]
claim "the sibling is a member, too" wait_for 20 eval \
	'ctl --json=short explain "$sibling_path" >"$scratch/claim" 2>&1'
usage=$(cat "$group/memory.usage_in_bytes")
echo $((usage + (4 << 20))) >"$group/memory.limit_in_bytes"
claim "people are warned when the parent is nearly full" wait_for 20 logged \
	'usage stays above UsageCritical=.*the limit of '"${group#"$base"}"
claim "by the one with the most" logged "$sibling_path: usage stays above UsageCritical="
claim "the other leaves it to that one" wait_for 20 logged "\"$path\" leaves [a-z-]* to \"$sibling_path\""
claim "so it was once" [ "$(alerts 'usage stays above UsageCritical=')" = 1 ]
claim "the command of Exec= is started" wait_for 20 test -s "$scratch/runs"
claim "and nobody else starts it" wait_for 20 logged \
	"Exec= command for $path is left to that for $sibling_path|Exec= command for .* still runs"
claim "it is one, of the one with the most" [ "$(cat "$scratch/runs")" = "$sibling_path" ]
rm "$scratch/hold"

kill "$beside"
kill "$sibling"
claim "it is gone, and counts no more" wait_for 20 eval '[ "$(others_mib)" -lt 50 ]'
claim "nobody was killed" eval 'grep -q "^oom_kill 0" '"$group"'/a/memory.oom_control &&
	grep -q "^oom_kill 0" '"$group"'/b/memory.oom_control'
exec 8>&- 9>&-
finish
