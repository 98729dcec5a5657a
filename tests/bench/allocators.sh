#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What an idle program keeps of what it has freed, on each allocator: by itself, with the
# allocator's own background or eager purge, under memguard, and under memguard with
# DecaySec=0. The program is tests/integration/allocators-subject.c: four threads fill
# about 160 MiB, free all but one piece in a thousand, and then wait for ever, or end. A
# markdown table goes to standard output. Needs no root.
#
#	allocators.sh --build=DIR [--idle=SECONDS] [--only=TEXT]
#
# only: allocators whose name has that in it
#
# Only ratios within one run mean something.

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"

BUILD=
IDLE=15
ONLY=
SCRATCH=

# Allocator, its library, and the variable with which it purges by itself at its best.
ALLOCATORS=(
	"glibc||"
	"jemalloc 5.3|libjemalloc.so.2|MALLOC_CONF=background_thread:true,dirty_decay_ms:1000"
	"mimalloc 2.0|libmimalloc.so.2|MIMALLOC_DECOMMIT_DELAY=0"
	"tcmalloc (gperftools 2.10)|libtcmalloc_minimal.so.4|TCMALLOC_RELEASE_RATE=10"
)

declare -A PIDS=() BEFORE=()

parse_options()
{
	local option

	for option; do
		case $option in
		--build=*) BUILD=${option#*=} ;;
		--idle=*) IDLE=${option#*=} ;;
		--only=*) ONLY=${option#*=} ;;
		*) usage "allocators.sh: $option: no such option" ;;
		esac
	done
	[[ -d $BUILD ]] || usage "allocators.sh: --build=DIR: a build directory is needed"
	BUILD=$(cd "$BUILD" && pwd)
}

is_ready()
{
	grep -qs ready "$SCRATCH/$1.out"
}

# start NAME MODE LIBRARY COMMAND... - the program's pid is left in PIDS, RSS in BEFORE.
start()
{
	local name=$1 mode=$2 library=$3 fifo=$SCRATCH/$1.in

	shift 3
	mkfifo "$fifo"
	(exec env LD_PRELOAD="$library" "$@" "$SCRATCH/subject" "$mode" \
		<"$fifo" >"$SCRATCH/$name.out" 2>"$SCRATCH/$name.err") &
	own_process $!
	PIDS[$name]=$!
	# Held open by this shell, or the program would see the end of its input.
	exec {holder}>"$fifo"
	wait_until 60 is_ready "$name" || fail "$name: not ready: $(cat "$SCRATCH/$name.err")"
	# What memguardctl runs, not itself.
	if [[ $* == */memguardctl* ]]; then
		PIDS[$name]=$(pgrep -P "${PIDS[$name]}" subject) || fail "$name: no program"
	fi
	BEFORE[$name]=$(rss_mib "${PIDS[$name]}")
}

start_all()
{
	local mode=$1 library=$2 variable=$3

	start self "$mode" "$library"
	[[ -z $variable ]] || start own "$mode" "$library" "$variable"
	start guarded "$mode" "$library" "$BUILD/memguardctl" run --hook="$BUILD/libmemguard-hook.so" \
		--config="$SCRATCH/memguard.conf" --
	# glibc has no decay.
	[[ $library ]] || return 0
	start eager "$mode" "$library" MEMGUARD_MALLOPT=decay=0 "$BUILD/memguardctl" run \
		--hook="$BUILD/libmemguard-hook.so" --config="$SCRATCH/memguard.conf" --
}

# cell NAME - "right after -> after the idle time".
cell()
{
	if [[ ${PIDS[$1]-} ]]; then
		printf '%s -> %s' "${BEFORE[$1]}" "$(rss_mib "${PIDS[$1]}")"
	else
		printf -- '-'
	fi
}

one()
{
	local name=$1 mode=$2 library=$3 variable=$4 pid

	PIDS=() BEFORE=()
	rm -f "$SCRATCH"/*.in "$SCRATCH"/*.out
	start_all "$mode" "$library" "$variable"
	sleep "$IDLE"
	printf '| %s, threads that %s | %s | %s | %s | %s |\n' "$name" "$mode" \
		"$(cell self)" "$(cell own)" "$(cell guarded)" "$(cell eager)"
	for pid in "${!OWN_PROCESSES[@]}"; do
		end_process "$pid"
	done
}

main()
{
	local row name library variable mode

	parse_options "$@"
	cleanup_at_exit
	make_directory SCRATCH
	printf '[Trigger]\nRetainedHigh=32M\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n' \
		>"$SCRATCH/memguard.conf"
	gcc -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$SCRATCH/subject" \
		"$HERE/../integration/allocators-subject.c"

	printf '\n| RSS in MiB, right after -> %s s later | by itself | its own purge | memguard | %s |\n' \
		"$IDLE" "memguard, decay 0"
	printf -- '|---|---|---|---|---|\n'
	for row in "${ALLOCATORS[@]}"; do
		IFS='|' read -r name library variable <<<"$row"
		[[ $name == *"$ONLY"* ]] || continue
		if [[ $library && $(LD_PRELOAD=$library true 2>&1) ]]; then
			printf '| %s | - | - | - | - |\n' "$name"
			continue
		fi
		for mode in stay end; do
			one "$name" "$mode" "$library" "$variable"
		done
	done
}

main "$@"
