#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Shows the main job on a real program: an unchanged Tokio service in a 600 MiB cgroup,
# first without memguard, then with it. Installs what is missing, builds into build/.
#
#	tests/demo.sh

set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
# shellcheck source=tests/bench/lib.sh
. "$top/tests/bench/lib.sh"

LIMIT_MIB=600
ROUNDS=6
IDLE=8
# Per cell of the curve's bars.
CELL_MIB=12

say()
{
	printf '\n\033[1m%s\033[0m\n' "$*"
}

[ -t 1 ] || say()
{
	printf '\n%s\n' "$*"
}

may_make_cgroups()
{
	local version probe=/sys/fs/cgroup

	version=$(cgroup_version) || return 1
	[ "$version" = 2 ] || probe+=/memory
	mkdir "$probe/memguard-demo-$$" 2>/dev/null && rmdir "$probe/memguard-demo-$$"
}

# curve FILE : what the sampler saw, a line a second; the full bar is the limit.
curve()
{
	awk -v cell=$CELL_MIB -v limit=$LIMIT_MIB '{
		n = int($2 / cell); bar = ""
		for (i = 0; i < n; i++) bar = bar "#"
		printf "%4d s %5d MiB  %-*s%s\n", $1, $2, limit / cell, bar, "|"
	}' "$1"
}

# sample FILE : in the background; the highest usage of each second. Ends with the group.
sample()
{
	local second=$SECONDS begin=$SECONDS usage top=0

	while usage=$(usage_now 2>/dev/null) && [ -n "$usage" ]; do
		[ "$usage" -le "$top" ] || top=$usage
		if [ "$SECONDS" != "$second" ]; then
			echo "$((second - begin)) $top"
			second=$SECONDS
			top=0
		fi
		sleep 0.1
	done >"$1"
}

usage_now()
{
	if [ -n "$group" ]; then
		cgroup_usage_mib "$group"
	else
		rss_mib "$service"
	fi
}

# start_service [VARIABLE=VALUE...]
start_service()
{
	: >"$scratch/service.out"
	if [ -n "$cgroups" ]; then
		cgroup_create group demo $LIMIT_MIB
		cgroup_run "$group" env -- "$@" "$build/services/webreport" >"$scratch/service.out" 2>&1 &
	else
		env -- "$@" "$build/services/webreport" >"$scratch/service.out" 2>&1 &
	fi
	service=$!
	own_process "$service"
	wait_until 20 grep -q '^READY ' "$scratch/service.out" || fail "the service does not start"
	url=$(awk '$1 == "READY" { print $2; exit }' "$scratch/service.out")
}

run_rounds()
{
	local options=(--url="$url" --pid="$service" --rounds=$ROUNDS --idle=$IDLE)

	[ -z "$group" ] || options+=(--cgroup="$group")
	sample "$scratch/curve" &
	sampler=$!
	"$top/tests/services/rounds.sh" "${options[@]}" | sed 's/^/    /' || true
}

stop_service()
{
	end_process "$service"
	kill "$sampler" 2>/dev/null || true
	wait "$sampler" 2>/dev/null || true
	[ -z "$group" ] || cgroup_remove "$group"
	group=
}

say "Installing what is missing, and building"
"$top/tests/install.sh"
"$top/tests/build.sh" "$build"
"$top/tests/services/build.sh" "$build/services"

cleanup_at_exit
make_directory scratch
group=
cgroups=yes
if ! may_make_cgroups; then
	cgroups=
	say "No memory cgroup can be made here (not root, or a container): nothing limits the
service now, so it will not be killed; watch its resident size instead."
fi

say "1. Without memguard: $ROUNDS rounds of four concurrent reports${cgroups:+ in $LIMIT_MIB MiB}"
start_service
run_rounds
stop_service
curve "$scratch/curve"

say "2. With memguard: the same binary, the same rounds"
: >"$scratch/empty.conf"
"$build/memguardd" --runtime-directory="$scratch/run" --config="$scratch/empty.conf" \
	2>"$scratch/daemon.log" &
daemon=$!
own_process "$daemon"
wait_until 10 test -S "$scratch/run/bus" || fail "memguardd does not start: $(cat "$scratch/daemon.log")"
start_service LD_PRELOAD="$build/libmemguard-hook.so" MEMGUARD_SOCKET="$scratch/run/hook.sock"
run_rounds

say "memguardctl status"
"$build/memguardctl" --no-pager --runtime-directory="$scratch/run" status
stop_service

say "The curve with memguard (highest usage of each second)"
curve "$scratch/curve"

say "What memguardd wrote to its log"
sed 's/^/    /' "$scratch/daemon.log"
