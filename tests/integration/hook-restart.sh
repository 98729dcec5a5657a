#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Very many programs whose daemon goes and comes back, and a pid that comes back as another
# process. MEMBERS sets how many they are.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

members=${MEMBERS:-500}
read -ra compiler <<<"${CC:-cc}"
command -v "${compiler[0]}" >/dev/null || skip "there is no compiler \"${compiler[0]}\""
grep -q '^Seccomp:[[:space:]]*0$' /proc/self/status ||
	skip "this process has a system call filter, under which the hook does nothing"
"${compiler[@]}" -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$scratch/corner" "$here/hook-corner.c"

n_members()
{
	[ "$(ctl --json=short list 2>/dev/null | jq length)" = "$1" ]
}

# In a pid namespace of its own: nobody else takes the number meanwhile.
if [ "${1:-}" = --inside ]; then
	start_daemon
	mkfifo "$scratch/in"
	(hooked "$scratch/corner" retain <"$scratch/in" >"$scratch/out") &
	program=$!
	exec 9<>"$scratch/in"
	wait_for 60 is_member "$program"
	kill -KILL "$program"
	wait "$program" 2>/dev/null || true
	wait_for 60 n_members 0
	for ((try = 0; try < 50; try++)); do
		echo $((program - 1)) >/proc/sys/kernel/ns_last_pid
		"$scratch/corner" retain <"$scratch/in" >"$scratch/other" &
		other=$!
		started+=("$other")
		[ "$other" != "$program" ] || break
	done
	[ "$other" = "$program" ] || skip "no number could be had again"
	wait_for 60 grep -q ready "$scratch/other"
	rss=$(rss_mib "$other")
	claim "row 38: a process with the number of a former member is not asked" eval '! ctl trim "$other"'
	claim "row 38: nor shown as one" eval '! is_member "$other"'
	claim "row 38: and keeps what it holds" eval "! rss_is_below $other $rss"
	finish
fi

# About 40 KiB of stack and tables each, and a descriptor here.
ulimit -n "$(ulimit -H -n)"
start_daemon
mkfifo "$scratch/in"
(hooked "$scratch/corner" many "$members" <"$scratch/in" >"$scratch/out") &
launcher=$!
started+=("$launcher")
exec 9>"$scratch/in"
claim "row 40: $members programs start" wait_for 60 grep -qx "ready $members" "$scratch/out"
claim "row 40: all are members" wait_for 60 n_members "$members"

for signal in KILL TERM; do
	kill -$signal "$daemon"
	wait "$daemon" 2>/dev/null || true
	rm -f "$runtime/bus"
	start_daemon 9>&-
	claim "row 40: after the end of the daemon by SIG$signal all come back" wait_for 100 n_members "$members"
done
claim "row 40: no connection was refused or given up" eval '! logged "(one connection too many|Cannot accept)"'
exec 9>&-
status=0
wait "$launcher" || status=$?
claim "row 40: and every program has its own descriptors, and ends as it would" \
	eval "[ $status = 0 ] && grep -qx 'good $members' '$scratch/out'"

if [ "$(id -u)" = 0 ] && [ -w /proc/sys/kernel/ns_last_pid ] &&
	unshare --fork --pid --mount-proc --kill-child true 2>/dev/null; then
	status=0
	unshare --fork --pid --mount-proc --kill-child "$0" --inside || status=$?
	case $status in
	0 | 77) ;;
	*) n_failed=$((n_failed + 1)) ;;
	esac
else
	echo "ok - row 38: a pid that comes back # SKIP needs root, namespaces and ns_last_pid"
fi
finish
