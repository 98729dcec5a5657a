#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A musl program: its loader takes the hook, which finds no glibc. With threads it has an agent,
# whose answer is "unsupported". And busybox, static: the loader never sees it.
#
#	26-musl-static.sh BUILD

. "$(dirname "$0")/lib.sh"

need musl-gcc musl-tools
busybox=$(command -v busybox) || skip "no busybox here: apt-get install busybox-static"

cat >"$scratch/work.c" <<'EOF'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *job(void *arg)
{
	size_t sum = 0, n = 1 + (size_t)arg;

	for (int round = 0; round < 50; round++) {
		char *all[200];

		for (size_t i = 0; i < 200; i++)
			all[i] = memset(malloc(n * i + 16), 'x', n * i + 16);
		for (size_t i = 0; i < 200; i++) {
			sum += strnlen(all[i], n * i + 16);
			free(all[i]);
		}
	}
	return (void *)sum;
}

static void on_signal(int signo)
{
	(void)signo;
	(void)!write(1, "signal\n", 7);
}

int main(int argc, char **argv)
{
	char line[100];

	(void)argv;
	setvbuf(stdout, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		pthread_t threads[4];
		size_t sum = 0;
		int status;
		pid_t pid;

		for (size_t i = 0; i < 4 && argc > 1; i++)
			pthread_create(&threads[i], NULL, job, (void *)i);
		for (size_t i = 0; i < 4; i++) {
			void *result = argc > 1 ? NULL : job((void *)i);

			if (argc > 1)
				pthread_join(threads[i], &result);
			sum += (size_t)result;
		}
		pid = fork();
		if (!pid)
			_exit(6);
		waitpid(pid, &status, 0);
		signal(SIGUSR1, on_signal);
		raise(SIGUSR1);
		printf("%s%zu %d %d\n", line, sum, WEXITSTATUS(status), system("echo child; exit 7") >> 8);
	}
	fputs("a complaint\n", stderr);
	return 5;
}
EOF
musl-gcc -O1 -pthread -o "$scratch/musl-dynamic" "$scratch/work.c"
musl-gcc -O1 -pthread -static -o "$scratch/musl-static" "$scratch/work.c"
claim "musl's loader starts it" eval \
	'readelf -l "$scratch/musl-dynamic" | has "interpreter: .*ld-musl"'

static_session()
{
	local program

	program=$(readlink -f "$1")
	start_first "$@"
	# Not the program that leads to it.
	wait_for 60 eval '[ "$(readlink "/proc/$server/exe")" = "$program" ]'
	during "it does not carry the hook" eval "! carries $server"
	during "it has no agent, and the daemon knows nothing of it" is_passive "$server"
	during "the daemon says why" told "$server" "statically linked"
	echo second >&9
	exec 9>&-
	wait "$server"
}

musl_session()
{
	start_first "$scratch/musl-dynamic" threads
	be_asked "$server" 2
	during "it carries the hook" carries "$server"
	during "its allocator is known to be none of ours" known_as "$server" malloc other
	echo second >&9
	exec 9>&-
	wait "$server"
}

want_status=5
refusal='its allocator has no way to give back' single=yes matrix musl in_two "$scratch/musl-dynamic"
matrix musl-threads musl_session
matrix musl-static static_session "$scratch/musl-static" threads

words()
{
	static_session "$busybox" awk '{ for (i = 0; i < 200000; i++) n[i % 1009] += i; print $0, n[7] }
		END { print "a complaint" > "/dev/stderr"; exit 5 }'
}
matrix busybox words

applets()
{
	(under "$busybox" sh -c 'echo one two | tr a-z A-Z; (exit 3); echo $?; seq 10 | sort -rn | head -n 2
		exec 2>&1; ls /nonexistent; grep -c memguard /proc/self/maps; exit 5')
}
matrix busybox-sh applets
finish
