#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program that holds freed memory near its cgroup's limit is asked before the next burst
# would be killed for it; a program outside the group is left alone.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for a cgroup with a limit"
make_group 300
start_daemon '[Trigger]\nRetainedHigh=0\nUsageHigh=30%\nUsageCritical=80%\n[Trim]\nCooldownSec=1s\n'

start_retainer 100
bystander=$retainer
exec 8>&9

# It holds what it has freed, and on a busy machine was asked before it had freed all of it.
retainer_group=$group
start_retainer 220
victim=$retainer
claim "usage above UsageHigh= makes it give back, until it is no more" wait_for 30 rss_is_below "$victim" 90
claim "the log says why" wait_for 10 logged 'released [1-9].*because (usage is|the limit) '
for round in 2 3 4; do
	echo again >&9
	claim "it survives burst $round" wait_for 60 \
		eval '[ "$(grep -c retained "$scratch/out")" = '$round' ]'
	wait_for 30 rss_is_below "$victim" 120 || true
done
claim "the kernel killed nobody" eval 'grep -q "^oom_kill 0" '"$group"'/memory.oom_control'
claim "the bystander keeps its memory" eval '! rss_is_below '"$bystander"' 90'
exec 9>&- 8>&-
finish
