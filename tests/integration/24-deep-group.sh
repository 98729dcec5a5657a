#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The limit of a group counts however deep it is nested, and where that cannot be it is said.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
make_group 4000
deep=$group$(printf '/d%.0s' $(seq 100))
deeper=$deep$(printf '/d%.0s' $(seq 160))
mkdir -p "$deeper" || skip "groups cannot be nested that deep here"
base=/sys/fs/cgroup/memory

# seen LIMIT GROUP : what the daemon goes by, or "null".
seen()
{
	[ "$(ctl --json=short explain "${2#"$base"}" | jq ".[] | select(.path == \"${2#"$base"}\") | .limit_bytes")" = "$1" ]
}

start_daemon
echo $((300 << 20)) >"$deep/memory.limit_in_bytes"
retainer_group=$deep start_retainer 20
first=$retainer
claim "a hundred groups deep a limit is seen" wait_for 20 seen $((300 << 20)) "$deep"
claim "and nothing is told" eval '! logged "lies too deep"'

# in_group GROUP : a guarded program there.
in_group()
{
	(
		echo 0 >"$1/cgroup.procs"
		MEMGUARD_AGENT=always hooked sleep 300
	) &
	started+=($!)
	wait_for 20 is_member $!
}

in_group "$deeper"
claim "where it cannot be seen that is told, by name" wait_for 20 \
	logged "\"${deeper#"$base"}\" lies too deep"
in_group "${deeper%/d}"
claim "once, whoever comes after it" eval '[ "$(grep -c "lies too deep" "$scratch/daemon.log")" = 1 ]'

kill "${started[@]}"
wait "${started[@]}" || true
started=()
find "$group" -mindepth 1 -depth -type d -exec rmdir {} +
finish
