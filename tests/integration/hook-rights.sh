#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The program changes its ids, capabilities and filters with the agent there: it succeeds as
# it would alone, and the agent keeps nothing that the program has dropped.

. "$(dirname "$0")/hook-lib.sh"

need_agent
build rights
rights=$scratch/rights
export MEMGUARD_AGENT=auto

# The shell becomes the program, which then has the number that names it: as a service does.
named()
{
	# shellcheck disable=SC2016 # for the shell inside
	hooked sh -c 'export SYSTEMD_EXEC_PID=$$; exec "$@"' sh "$@"
}

# Every call that changes ids, in a program with a thread: no abort, no hang, the result it
# has without the hook, and (its "differs:") the same ids in all threads, the agent's too.
if is_root; then
	for way in setuid setreuid setresuid seteuid seteuid-and-back setgid setregid setresgid setegid \
		setgroups initgroups all; do

		r=0
		hooked "$rights" ids "$way" >"$scratch/with" 2>&1 || r=$?
		same "row 16: $way changes the agent too" \
			"$r $(grep -c '^differs' "$scratch/with") $(head -n 1 "$scratch/with")" "0 0 0"
	done
	# The main thread's capset() is its own: libc would abort where results differ.
	r=0
	hooked "$rights" ids capset-setuid >"$scratch/with" 2>&1 || r=$?
	same "row 16: capset() that keeps CAP_SETUID and then setuid()" \
		"$r $(grep -c '^differs' "$scratch/with") $(head -n 1 "$scratch/with")" "0 0 0"

	export MEMGUARD_AGENT=always
	same "row 17: capabilities dropped for the main thread alone send the agent away" \
		"$(hooked "$rights" drop 2>&1 | tr -d '\t' | tr '\n' ' ')" \
		"agent left CapPrm:0000000000000400 setuid -1 "
	same "row 17: so does CAP_SETUID that only the main thread kept" \
		"$(hooked "$rights" keep 2>&1 | tr '\n' ' ')" "agent left setuid 0 "
	same "row 17: lowering and raising effective capabilities does not" \
		"$(hooked "$rights" lower 2>&1)" "agent stays, setuid 0"
	# The shell becomes the program: that is how a service is named, and how it is excepted.
	for agent in auto off; do
		# shellcheck disable=SC2016 # for the shell inside
		same "row 17: a program without an agent may do so at once, and go on (MEMGUARD_AGENT=$agent)" \
			"$(MEMGUARD_AGENT=$agent hooked sh -c '[ "$1" = auto ] || export SYSTEMD_EXEC_PID=$$
				exec "$0" drop-at-once' "$rights" $agent 2>&1)" "setuid -1"
	done
	export MEMGUARD_AGENT=auto

	# What libcap and libcap-ng look like to the loader: that a program has one is enough.
	for symbol in cap_set_proc capng_apply; do
		# shellcheck disable=SC2086 # the compiler may be several words
		echo "int $symbol(void) { return 0; }" | $cc -shared -fPIC -o "$scratch/libable.so" -x c -
		build rights -Wl,--no-as-needed "$scratch/libable.so" -Wl,-rpath,"$scratch"
		same "row 17: one that has $symbol() may do so at once although it was named, and go on" \
			"$(named "$rights" drop-at-once 2>&1)" "setuid -1"
		same "row 17: for it gets its agent with its first thread ($symbol)" \
			"$(named "$rights" agents 2>&1)" "agent no, with a thread yes"
		same "row 17: unless it cannot change its ids ($symbol)" \
			"$(named setpriv --bounding-set=-setuid,-setgid --inh-caps=-setuid,-setgid \
				"$rights" agents 2>&1)" "agent yes, with a thread yes"
	done
	build rights
	same "row 17: one that has neither gets it at its start" \
		"$(named "$rights" agents 2>&1)" "agent yes, with a thread yes"
else
	skip "row 16: all calls that change ids change the agent too" "needs root"
	skip "row 17: capabilities dropped for the main thread alone send the agent away" "needs root"
fi

same "row 17: nothing could be gained by exec on the agent's thread" \
	"$(hooked "$rights" no-new-privs 2>&1 | tr -d '\t' | tr '\n' ' ')" \
	"main NoNewPrivs:$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' /proc/self/status) agent NoNewPrivs:1 "

r=0
hooked "$rights" filter-main >"$scratch/out" 2>&1 || r=$?
if [ "$r" -eq 77 ]; then
	skip "row 17: a filter on the main thread alone sends the agent away" "$(cat "$scratch/out")"
else
	same "row 17: a filter on the main thread alone sends the agent away" \
		"$r $(cat "$scratch/out")" "0 agent left"
fi

r=0
hooked "$rights" real-time >"$scratch/out" 2>&1 || r=$?
if [ "$r" -eq 77 ]; then
	skip "row 51: a main thread that takes real-time priority sends the agent away" "it may not"
else
	same "row 51: a main thread that takes real-time priority sends the agent away" \
		"$r $(cat "$scratch/out")" "0 agent left"
fi

r=0
hooked "$rights" filter-asking >"$scratch/out" 2>&1 || r=$?
if [ "$r" -eq 77 ]; then
	skip "row 27: to make the first thread under a filter that kills for asking" "$(cat "$scratch/out")"
else
	same "row 27: to make the first thread under a filter that kills for asking" \
		"$r $(cat "$scratch/out")" "0 create 0 tasks 2"
fi

# The thread that is made runs before the one that makes it, and for as long as it likes.
cat >"$scratch/late.c" <<'EOF'
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>
typedef int create_t(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
	int r = ((create_t *)dlsym(RTLD_NEXT, "pthread_create"))(thread, attr, f, arg);
	for (int i = 0; r == 0 && i < 5000 && prctl(PR_GET_SECCOMP) == 0; i++)
		usleep(1000);
	return r;
}
EOF
# shellcheck disable=SC2086 # the compiler may be several words
$cc -D_GNU_SOURCE -O1 -shared -fPIC -o "$scratch/late.so" "$scratch/late.c" -ldl
r=0
env LD_PRELOAD="$hook:$scratch/late.so" "$rights" filter-first >"$scratch/out" 2>&1 || r=$?
if [ "$r" -eq 77 ]; then
	skip "row 28: the first thread may put a filter on all before the agent is made" "$(cat "$scratch/out")"
else
	same "row 28: the first thread may put a filter on all before the agent is made" \
		"$r $(cat "$scratch/out")" "0 no agent"
fi

r=0
hooked "$rights" filter-read >"$scratch/out" 2>&1 || r=$?
if [ "$r" -eq 77 ]; then
	skip "row 28: a filter that refuses read() with an error sends the agent away" "$(cat "$scratch/out")"
else
	same "row 28: a filter that refuses read() with an error sends the agent away" \
		"$r $(cat "$scratch/out")" "0 agent left"
fi

# The program's own malloc_trim() puts all threads under such a filter as below.
if have python3; then
	MEMGUARD_AGENT=always python3 "$here/hook-rights.py" "$hook" "$rights" "$scratch" || bad=1
else
	skip "row 28: a filter that comes in the middle of a release" "there is no python3"
fi

# Everything but read, write and exit_group kills: also the agent may do nothing else when
# its wait ends, which without a daemon is after a second. It is safe once it sleeps in read.
case $(uname -m) in
x86_64) read_nr=0 ;;
*) read_nr=63 ;;
esac

# @1: process, @2: thread; true when there is nothing more to wait for.
sleeps_in_read()
{
	! kill -0 "$1" 2>/dev/null || grep -q "^$read_nr " "/proc/$1/task/$2/syscall" 2>/dev/null
}

# A killed program is to be told, not to kill us.
trap '' PIPE
mkfifo "$scratch/in"
: >"$scratch/out"
env LD_PRELOAD="$hook" "$rights" filter-all <"$scratch/in" >"$scratch/out" 2>&1 &
pid=$!
exec 9>"$scratch/in"
await()
{
	tries=2400
	until "$@"; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ] || ! kill -0 "$pid" 2>/dev/null; then
			return 1
		fi
		sleep 0.05
	done
}
await grep -q agent "$scratch/out" || :
echo filter >&9
if await grep -q filtered "$scratch/out"; then
	# env has become the program: its pid is the job's.
	agent=$(sed -n 's/^agent \([0-9]*\) .*/\1/p' "$scratch/out")
	if [ -r "/proc/$pid/task/$agent/syscall" ]; then
		await sleeps_in_read "$pid" "$agent" || :
		echo "still here" >&9 || :
		await grep -q "still here" "$scratch/out" || :
		exec 9>&-
		r=0
		wait "$pid" || r=$?
		same "row 28: a filter that kills for all but read, write and the end is survived" \
			"$r $(tail -n 1 "$scratch/out")" "5 still here"
	else
		exec 9>&-
		wait "$pid" || :
		skip "row 28: a filter that kills for all but read, write and the end is survived" \
			"the kernel does not tell what a thread sleeps in"
	fi
else
	exec 9>&-
	wait "$pid" || :
	skip "row 28: a filter that kills for all but read, write and the end is survived" \
		"$(tail -n 1 "$scratch/out")"
fi

exit "$bad"
