#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Groups that are far from their limits and at rest wake the daemon for one slow sample each,
# and for nothing else. The machine's load can only make it wake less often.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups"
make_group 8000
n_groups=5
seconds=30

switches()
{
	awk '/^voluntary_ctxt_switches:/ { print $2 }' "/proc/$daemon/status"
}

start_daemon '[Trigger]\nPressureSome=10%\n'
mkfifo "$scratch/in"
exec 9<>"$scratch/in"
for ((i = 0; i < n_groups; i++)); do
	mkdir "$group/$i"
	(
		echo 0 >"$group/$i/cgroup.procs"
		hooked "$shims/retainer" 4 2 <"$scratch/in" >"$scratch/out.$i"
	) &
	started+=($!)
done

calm()
{
	[ "$(ctl --json=short status | jq '[.groups[] | select(.state == "calm" and .retained_bytes != null)] | length')" -ge "$n_groups" ]
}

claim "all groups are calm" wait_for 60 calm

# What they did at their start is fresh for ten seconds.
timeout 15 tail -f /dev/null || true
before=$(switches)
timeout $seconds tail -f /dev/null || true
after=$(switches)
claim "$n_groups groups at rest wake it at most once in 5 s each: $((after - before)) times in $seconds s" \
	test $((after - before)) -le $((n_groups * (seconds / 5 + 1)))
claim "but it does look" test $((after - before)) -ge 1
finish
