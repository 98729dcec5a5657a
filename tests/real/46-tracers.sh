#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program under strace and under gdb: what it prints and how it ends is the same, the tracer
# works, and a member that is stopped by its tracer is asked, but not waited for.
#
#	46-tracers.sh BUILD

. "$(dirname "$0")/lib.sh"

need strace strace
need gdb gdb
need cc gcc
# The tracer starts the program: its number is not known before.
modes=(auto always)

cat >"$scratch/work.c" <<'EOF'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *job(void *arg)
{
	char *all[500];

	for (size_t i = 0; i < 500; i++)
		all[i] = strdup("some words to keep");
	for (size_t i = 0; i < 500; i++)
		free(all[i]);
	return arg;
}

static void between(void)
{
	(void)!write(1, "between\n", 8);
}

int main(void)
{
	char line[100];

	setvbuf(stdout, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		pthread_t threads[3];

		for (size_t i = 0; i < 3; i++)
			pthread_create(&threads[i], NULL, job, NULL);
		for (size_t i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		printf("%s", line);
		between();
	}
	return 5;
}
EOF
program=$scratch/traced-$$
cc -g -O0 -pthread -o "$program" "$scratch/work.c"

# The tracer is not hooked, what it starts is: strace by -E, gdb by its own `set environment`.
hook_words()
{
	[ "$way" = plain ] ||
		printf '%s\n' "$1LD_PRELOAD=$HOOK" "$1MEMGUARD_SOCKET=$runtime/hook.sock" "$1MEMGUARD_AGENT=$way"
}

# The one process of that program.
traced()
{
	pgrep -x "${program##*/}"
}

stracing()
{
	local words

	mapfile -t words < <(hook_words -E)
	rm -f "$scratch/in" && mkfifo "$scratch/in"
	strace -f -o "$work/calls" "${words[@]}" "$program" <"$scratch/in" &
	server=$!
	exec 9>"$scratch/in"
	echo first >&9
	wait_for 60 traced >/dev/null
	be_asked "$(traced)" 2
	echo second >&9
	exec 9>&-
	wait "$server" || echo "status $?"
	grep -c 'write(1, "between' "$work/calls"
	tail -n 1 "$work/calls" | sed 's/^[0-9]* //'
}

hooked_strace()
{
	(under strace -f -e trace=none -e signal=none -qq sh -c 'echo traced; exit 4') || echo "status $?"
}

debugging()
{
	local status=0

	{
		hook_words 'set environment ' | sed 's/=/ /'
		cat <<-EOF
			set pagination off
			set print thread-events off
			set confirm off
			break between
			run <$work/words >$work/out
			bt 1
			info breakpoints
			print 6 * 7
			call (int)getppid() > 0
			continue
			step
			detach
		EOF
	} >"$work/commands"
	printf 'first\nsecond\n' >"$work/words"
	# Not followed to its end: a gdb that waits for a process of several threads to end may
	# lose one under its hands.
	timeout 60 gdb -nx -batch -x "$work/commands" "$program" 2>&1 || status=$?
	wait_for 60 eval '! traced >/dev/null'
	cat "$work/out"
	return "$status"
}

# Attached to from outside, while it is a member: stopped, asked, let go.
attaching()
{
	start_first "$program"
	be_asked "$server"
	timeout 60 gdb -nx -batch -p "$server" -ex 'bt 1' -ex 'print 6 * 7' -ex 'call (int)getppid() > 0' \
		-ex detach 2>&1 | grep -E '^\$|^\[Inferior'
	be_asked "$server"
	echo second >&9
	exec 9>&-
	wait "$server"
}

# Not where threads have registers that it does not know, as on some virtual machines.
gdb_can_call()
{
	timeout 60 gdb -nx -batch -ex 'break main' -ex run -ex 'call (int)getppid() > 0' -ex kill \
		"$program" </dev/null 2>&1 | has '^\$1 = '
}

# Threads, addresses, pids; the agent is one more thread to be seen, and that must be allowed.
normal()
{
	sed -E 's/0x[0-9a-f]+/ADDRESS/g; s/(process|LWP|Detaching from program: .*, process|Inferior [0-9]+ \(process) [0-9]+/\1 N/g
		s/^Thread [^"]*"[^"]*" hit/Thread hit/; /^\[New Thread/d; /^\[Thread .* exited/d
		/^warning: .*debuginfo/d'
}

matrix strace stracing
claim "it released while it was traced" released_in strace auto always
matrix strace-hooked hooked_strace
if gdb_can_call; then
	matrix gdb debugging
	want_status=5
	matrix gdb-attached attaching
	claim "it released when asked" released_in gdb-attached auto always
else
	echo "# not under gdb: it cannot call a function in a program on this machine"
fi
finish
