#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the figures of the hook in a program that gets very many signals: how many it handles, how
# often the agent is woken by them, and what that takes of a processor. A markdown table goes to
# standard output, the figures as lines of JSON to BUILD/bench.jsonl. Needs a compiler.
#
#	signals.sh --build=DIR [--seconds=N] [--runs=N]
#
# Each figure is the median of three runs, or so many, with and without the hook in turn; in each the agent
# tries once whether there are still as many. 12 minutes.

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"

BUILD=
SECONDS_EACH=33
SCRATCH=
RUNS=3

parse_options()
{
	local option

	for option; do
		case $option in
		--build=*) BUILD=${option#*=} ;;
		--seconds=*) SECONDS_EACH=${option#*=} ;;
		--runs=*) RUNS=${option#*=} ;;
		*) usage "signals.sh: $option: no such option" ;;
		esac
	done
	[[ -e $BUILD/libmemguard-hook.so ]] || usage "signals.sh: --build=DIR: a build directory is needed"
	BUILD=$(cd "$BUILD" && pwd)
}

# run_one RATE PRELOAD
run_one()
{
	env LD_PRELOAD="$2" MEMGUARD_SOCKET="$SCRATCH/nobody.sock" "$SCRATCH/signals" "$1" "$SECONDS_EACH"
}

# median FILE FIELD
median()
{
	sort -n -k "$2,$2" "$1" | awk -v n="$2" -v at=$(((RUNS + 1) / 2)) 'NR == at { print $n }'
}

main()
{
	local rate i said

	parse_options "$@"
	cleanup_at_exit
	make_directory SCRATCH
	${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -pthread -o "$SCRATCH/signals" "$HERE/signals.c"

	printf '\n| signals a second | handled without | with the hook | the agent wakes, a second | takes of a CPU, %% |\n'
	printf '|---|---|---|---|---|\n'
	for rate in 0 1000 50; do
		: >"$SCRATCH/without" >"$SCRATCH/with"
		for ((i = 0; i < RUNS; i++)); do
			run_one "$rate" "" >>"$SCRATCH/without"
			run_one "$rate" "$BUILD/libmemguard-hook.so" >>"$SCRATCH/with"
		done
		said=$rate
		((rate > 0)) || said="as many as it can send"
		printf '| %s | %s | %s | %s | %s |\n' "$said" "$(median "$SCRATCH/without" 1)" \
			"$(median "$SCRATCH/with" 1)" "$(median "$SCRATCH/with" 2)" \
			"$(median "$SCRATCH/with" 3 | awk '{ print $1 / 100 }')"
		printf '{"benchmark":"signals","rate":%s,"without":%s,"with":%s,"wakes":%s,"permyriad":%s}\n' \
			"$rate" "$(median "$SCRATCH/without" 1)" "$(median "$SCRATCH/with" 1)" \
			"$(median "$SCRATCH/with" 2)" "$(median "$SCRATCH/with" 3)" >>"$BUILD/bench.jsonl"
	done
}

main "$@"
