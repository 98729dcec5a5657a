#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# With the agent running, what belongs to the program stays the program's: signals,
# descriptors, user ids, how and when it ends, and what happens at its limits.

. "$(dirname "$0")/hook-lib.sh"

need_agent
build_subject
build_leaver
export MEMGUARD_AGENT=auto

same "row 24: signal masks and dispositions are the program's" \
	"$(hooked "$subject" signals 2>&1)" "$("$subject" signals 2>&1)"
# All but KILL, STOP and libc's own two, which setuid() needs.
same "row 24: no signal reaches the agent" "$(hooked "$subject" agent-signals | tr -d '\t')" "SigBlk:fffffffe7ffbfeff"

same "row 20: a program sees no descriptor of the agent" \
	"$(hooked "$subject" descriptors 2>&1)" "$("$subject" descriptors 2>&1)"
if have python3; then
	cat >"$scratch/fds.py" <<-'EOF'
		import os, threading
		e = threading.Event()
		threading.Thread(target=e.wait).start()
		print(sorted(map(int, os.listdir("/proc/self/fd"))))
		e.set()
	EOF
	same "row 20: and neither does python with a thread" \
		"$(hooked python3 "$scratch/fds.py" 2>&1)" "$(python3 "$scratch/fds.py" 2>&1)"
else
	skip "row 20: and neither does python with a thread" "there is no python3"
fi
same "row 20: a program that closes and reuses all descriptors harms neither side" \
	"$(hooked "$subject" close-all 2>&1)" "got 3 4, agent lives"

if is_root; then
	ids=$(printf 'Uid:\t65534\t65534\t65534\t65534\nCapEff:\t0000000000000000')
	same "row 16, row 17: setuid() changes all threads, and none keeps a capability" \
		"$(hooked "$subject" setuid 2>&1)" "$ids
$ids
$ids"
else
	skip "row 16, row 17: setuid() changes all threads" "needs root"
fi

# An alarm would be blocked by the last thread left: only KILL ends a hang here. Before
# Linux 6.9 nothing tells the agent at once, and it looks every 30 s.
r=0
hooked timeout -s KILL 240 "$leaver" exit-main >"$scratch/out" 2>&1 || r=$?
same "row 18: pthread_exit() from main ends the program" "$r $(cat "$scratch/out")" "0 "
# The last thread ends when main has, and what is not flushed then is written by libc: on a thread
# that has the program's descriptors, so not on the agent.
for way in leave leave-thrd leave-cancel leave-child; do
	r=0
	hooked timeout -s KILL 240 "$leaver" $way >"$scratch/out" 2>&1 || r=$?
	same "row 18: nothing is lost when all threads end after main ($way)" "$r $(cat "$scratch/out")" \
		"0 not flushed bye"
done
for way in rooted full; do
	r=0
	"$leaver" leave-$way >"$scratch/plain" 2>&1 || r=$?
	if [ $r -eq 77 ]; then
		skip "row 18: nor where nobody can tell whether there is a filter ($way)" "needs root"
		continue
	fi
	r=0
	hooked timeout -s KILL 240 "$leaver" leave-$way >"$scratch/out" 2>&1 || r=$?
	same "row 18: nor where nobody can tell whether there is a filter ($way)" "$r $(cat "$scratch/out")" \
		"0 $(cat "$scratch/plain")"
done
for agent in auto always; do
	n=0
	while [ $n -lt 100 ]; do
		MEMGUARD_AGENT=$agent hooked timeout -s KILL 240 "$leaver" leave-at-once || echo " ended with $?"
		echo
		n=$((n + 1))
	done >"$scratch/out" 2>&1
	same "row 18: nor in programs that have ended before the agent has begun (MEMGUARD_AGENT=$agent)" \
		"$(sort "$scratch/out" | uniq -c | sed 's/^ *//')" "100 not flushed bye"
done
r=0
hooked timeout -s KILL 240 "$leaver" leave-pending >"$scratch/out" 2>&1 || r=$?
same "row 24: SIGURG that is the program's, and pending, neither keeps the agent busy nor is taken" \
	"$r $(cat "$scratch/out")" "0 is left alone"
r=0
hooked timeout -s KILL 240 "$leaver" leave-busy >"$scratch/out" 2>&1 || r=$?
same "row 24: of very many signals the agent takes no notice, and goes when main ends nevertheless" \
	"$r $(cat "$scratch/out")" "0 not flushed bye"
r=0
hooked "$subject" exit >"$scratch/out" 2>&1 || r=$?
same "row 31: exit() ends it with its status" "$r $(cat "$scratch/out")" "7 "

for limit in as nofile stack; do
	same "row 25: at its limit ($limit) a program gets what it gets without the hook" \
		"$(hooked "$subject" limit-$limit 2>&1)" "$("$subject" limit-$limit 2>&1)"
done
same "row 25: a thread that cannot be made brings no agent, the next one does" \
	"$(hooked "$subject" refused 2>&1)" "create refused tasks 1, then agent yes"
# Root has no limit of processes; a user nobody else is has this one alone.
if is_root && have setpriv; then
	chmod 0755 "$scratch"
	cp "$hook" "$scratch/libmemguard-hook.so"
	for preload in "" "$scratch/libmemguard-hook.so"; do
		setpriv --reuid=54321 --regid=54321 --clear-groups \
			env LD_PRELOAD="$preload" "$subject" limit-nproc >"$scratch/nproc${preload:+-hook}" 2>&1 || :
	done
	same "row 25: at its limit (nproc) a program gets what it gets without the hook" \
		"$(cat "$scratch/nproc-hook")" "$(cat "$scratch/nproc")"
	same "which is its own thread" "$(cat "$scratch/nproc-hook")" "create 0 malloc yes"
else
	skip "row 25: at its limit (nproc) a program gets what it gets without the hook" "needs root and setpriv"
fi

# TasksMax=: as limits go, the only one that counts threads of other users too.
pids=/sys/fs/cgroup/pids$(sed -n 's/^[0-9]*:pids://p' /proc/self/cgroup)/memguard-test-$$
if is_root && mkdir "$pids" 2>/dev/null && [ -w "$pids/pids.max" ]; then
	for max in 1 2; do
		echo $max >"$pids/pids.max"
		for preload in "" "$hook"; do
			# shellcheck disable=SC2016 # for the shell inside
			sh -c 'echo $$ >"$1/cgroup.procs"; LD_PRELOAD=$2 exec "$3" thread' sh "$pids" "$preload" \
				"$subject" >"$scratch/tasks${preload:+-hook}" 2>&1 || :
		done
		same "row 25: at its limit (TasksMax=$max) a program gets what it gets without the hook" \
			"$(cat "$scratch/tasks-hook")" "$(cat "$scratch/tasks")"
	done
	same "row 25: which is its own thread" "$(cat "$scratch/tasks-hook")" "create 0 tasks 2"
	rmdir "$pids"
else
	rmdir "$pids" 2>/dev/null || :
	skip "row 25: at its limit (TasksMax=) a program gets what it gets without the hook" \
		"needs root and a cgroup v1 of pids"
fi

exit "$bad"
