#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the figures of the hook in a program that it does nothing for: time and page faults at start,
# instructions for each malloc(), private memory. A markdown table goes to standard output,
# the figures as a line of JSON to BUILD/bench.jsonl. Needs a compiler and, for the
# instructions, valgrind; what is missing is printed as "-".
#
#	start.sh --build=DIR [--quick]
#
# An empty object, preloaded in the same way, shows what is the loader's share.

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"

BUILD=
QUICK=
SCRATCH=

parse_options()
{
	local option

	for option; do
		case $option in
		--build=*) BUILD=${option#*=} ;;
		--quick) QUICK=1 ;;
		*) usage "start.sh: $option: no such option" ;;
		esac
	done
	[[ -e $BUILD/libmemguard-hook.so ]] || usage "start.sh: --build=DIR: a build directory is needed"
	BUILD=$(cd "$BUILD" && pwd)
	HOOK=$BUILD/libmemguard-hook.so
}

# The tiny program, which tells its own private memory when asked; the one that starts it,
# many times with each preload in turn, and prints microseconds; a loop of malloc().
build_programs()
{
	local cc=${CC:-cc}

	cat >"$SCRATCH/tiny.c" <<-'END'
		#include <stdio.h>
		#include <string.h>
		int main(int argc, char **argv)
		{
			char line[256];
			FILE *file = argc > 1 ? fopen("/proc/self/smaps_rollup", "re") : NULL;
			while (file && fgets(line, sizeof(line), file))
				if (strncmp(line, "Private_", 8) == 0)
					fputs(line, stdout);
			return argv[0] == NULL;
		}
	END
	cat >"$SCRATCH/starter.c" <<-'END'
		#define _GNU_SOURCE
		#include <spawn.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/resource.h>
		#include <sys/wait.h>
		#include <time.h>
		static double now(void)
		{
			struct timespec t;
			clock_gettime(CLOCK_MONOTONIC, &t);
			return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
		}
		static double usec(struct timeval t)
		{
			return t.tv_sec * 1e6 + t.tv_usec;
		}
		/* starter ROUNDS PROGRAM LD_PRELOAD=... : "NR ELAPSED CPU FAULTS", us, for each start */
		int main(int argc, char **argv)
		{
			for (int i = 0; i < atoi(argv[1]); i++)
				for (int k = 3; k < argc; k++) {
					char *args[] = { argv[2], NULL }, *env[] = { argv[k], NULL };
					double begin = now();
					struct rusage used;
					pid_t pid;
					int status;
					if (posix_spawn(&pid, argv[2], NULL, NULL, args, env) != 0 ||
					    wait4(pid, &status, 0, &used) < 0 || status != 0)
						return 1;
					printf("%d %.1f %.1f %ld\n", k - 3, now() - begin,
						usec(used.ru_utime) + usec(used.ru_stime), used.ru_minflt);
				}
			return 0;
		}
	END
	cat >"$SCRATCH/loop.c" <<-'END'
		#include <pthread.h>
		#include <stdlib.h>
		static void *run(void *arg)
		{
			long n = atol(arg);
			while (n-- > 0) {
				void *volatile p = malloc(100);
				free(p);
			}
			return NULL;
		}
		int main(int argc, char **argv)
		{
			pthread_t thread;
			if (argc > 2 && (pthread_create(&thread, NULL, run, argv[1]) || pthread_join(thread, NULL)))
				return 1;
			run(argv[1]);
			return 0;
		}
	END
	echo 'int nothing;' >"$SCRATCH/empty.c"
	$cc -O2 -o "$SCRATCH/tiny" "$SCRATCH/tiny.c"
	$cc -O2 -o "$SCRATCH/starter" "$SCRATCH/starter.c"
	$cc -O2 -pthread -o "$SCRATCH/loop" "$SCRATCH/loop.c"
	$cc -shared -fPIC -nostdlib -o "$SCRATCH/empty.so" "$SCRATCH/empty.c"
}

# row_of_starts TITLE COLUMN - the medians with each of the three preloads.
row_of_starts()
{
	local nr numbers medians=()

	for nr in 0 1 2; do
		mapfile -t numbers < <(awk -v nr="$nr" -v c="$2" '$1 == nr { print $c }' "$SCRATCH/starts")
		medians+=("$(median "${numbers[@]}")")
	done
	printf '| %s | %s | %s | %s | %s |\n' "$1" "${medians[@]}" "$(minus "${medians[2]}" "${medians[0]}")"
	printf '{"benchmark":"start","what":"%s","plain":%s,"empty":%s,"hooked":%s}\n' "$1" "${medians[@]}" \
		>>"$BUILD/bench.jsonl"
}

minus()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a - b }'
}

# instructions PRELOAD COMMAND... - as valgrind's tool counts them, the loader's too.
instructions()
{
	env LD_PRELOAD="$1" MEMGUARD_SOCKET="$SCRATCH/nobody.sock" \
		valgrind --tool=callgrind --callgrind-out-file=/dev/null "${@:2}" 2>&1 |
		awk '$2 == "Collected" { print $4 }'
}

# per_malloc PRELOAD [THREAD] - what a thousand times more of them cost, each.
per_malloc()
{
	local few many

	few=$(MEMGUARD_AGENT=off instructions "$1" "$SCRATCH/loop" 1000 "${@:2}")
	many=$(MEMGUARD_AGENT=off instructions "$1" "$SCRATCH/loop" 101000 "${@:2}")
	awk -v a="$many" -v b="$few" -v n="${2:+2}" 'BEGIN { printf "%.3f", (a - b) / 100000 / (n ? n : 1) }'
}

# private_of PRELOAD - KiB that the program has alone.
private_of()
{
	env LD_PRELOAD="$1" "$SCRATCH/tiny" tell | awk '{ sum += $2 } END { print sum }'
}

main()
{
	local rounds from_start=(- - -) none=- with=- none_threads=- with_threads=- private

	parse_options "$@"
	cleanup_at_exit
	make_directory SCRATCH
	build_programs

	rounds=$((QUICK ? 100 : 1000))
	"$SCRATCH/starter" $rounds "$SCRATCH/tiny" LD_PRELOAD= LD_PRELOAD="$SCRATCH/empty.so" \
		LD_PRELOAD="$HOOK" >"$SCRATCH/starts"
	if command -v valgrind >/dev/null; then
		none=$(per_malloc "")
		with=$(per_malloc "$HOOK")
		from_start=("$(instructions "" "$SCRATCH/tiny")" "$(instructions "$SCRATCH/empty.so" "$SCRATCH/tiny")"
			"$(instructions "$HOOK" "$SCRATCH/tiny")")
		none_threads=$(per_malloc "" thread)
		with_threads=$(per_malloc "$HOOK" thread)
	fi
	private=$(($(private_of "$HOOK") - $(private_of "")))

	printf '\n| of a program the hook does nothing for | without | empty object | with the hook | difference |\n'
	printf '|---|---|---|---|---|\n'
	row_of_starts "start to end, median of $rounds, us" 2
	row_of_starts "of that on a processor, us" 3
	row_of_starts "page faults" 4
	printf '| instructions from start to end | %s | %s | %s | %s |\n' "${from_start[@]}" \
		"$(minus "${from_start[2]}" "${from_start[0]}")"
	printf '| instructions for each malloc() and free() | %s | - | %s | |\n' "$none" "$with"
	printf '| the same, with two threads | %s | - | %s | |\n' "$none_threads" "$with_threads"
	printf '| private memory, KiB | %s | %s | %s | %s |\n' "$(private_of "")" \
		"$(private_of "$SCRATCH/empty.so")" "$(private_of "$HOOK")" "$private"
	printf '{"benchmark":"start","private_kib":%s,"instructions":["%s","%s","%s","%s"]}\n' \
		"$private" "$none" "$with" "$none_threads" "$with_threads" >>"$BUILD/bench.jsonl"
}

main "$@"
