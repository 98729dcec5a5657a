#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A thread is added where the contract says, and nowhere else.
#
# shellcheck disable=SC2016 # much is for the shells inside

. "$(dirname "$0")/hook-lib.sh"

need_agent
build_subject

tasks()
{
	hooked "$@" 2>&1
}

export MEMGUARD_AGENT=auto
same "row 13, row 19: a program with one thread keeps one" "$(tasks "$subject" count)" "tasks 1"
same "row 19: a shell keeps one thread" \
	"$(tasks sh -c 'while read -r k v; do [ "$k" = Threads: ] && echo "$v"; done </proc/self/status; :')" 1
same "and so does what it starts" "$(tasks sh -c 'grep Threads: /proc/self/status' | tr -d '\t ')" "Threads:1"
same "row 43: and it holds nothing that a checkpoint would trip over" \
	"$(tasks ls -l /proc/self/fd | grep -c socket:)" "$(ls -l /proc/self/fd | grep -c socket:)"
if have python3; then
	same "row 15: python keeps one thread" \
		"$(tasks python3 -c 'print([l for l in open("/proc/self/status") if l.startswith("Threads")])')" \
		"['Threads:\\t1\\n']"
	same "row 15: python forks without a warning" \
		"$(tasks python3 -W error -c 'import os; p = os.fork() or os._exit(0); print(os.waitpid(p, 0)[1])')" 0
else
	skip "row 15: python keeps one thread" "there is no python3"
fi
if have unshare && unshare -U true 2>/dev/null; then
	same "row 13: unshare -U works" "$(tasks unshare -U sh -c 'echo inside')" inside
else
	skip "row 13: unshare -U works" "it does not work here without the hook either"
fi

same "a program that starts a thread gets the agent besides" "$(tasks "$subject" thread)" "create 0 tasks 3"
same "which names itself" "$(tasks "$subject" agent)" "agent yes"
# scheduled HOW... - the agent as the thread that made it, and that one as it was told.
scheduled()
{
	hooked "$@" "$subject" scheduled 2>&1 | tr '\t\n' '  '
}
nicer=$(nice -n 3 nice)
if have chrt && have taskset && chrt --idle 0 true 2>/dev/null && taskset -c 0 true 2>/dev/null; then
	same "row 51: it is as nice as the thread that made it, and on the same processors" \
		"$(scheduled nice -n 3 taskset -c 0)" "0 $nicer Cpus_allowed_list: 0 0 $nicer Cpus_allowed_list: 0 "
	same "row 51: nor has it more of them in a program for idle times" \
		"$(scheduled chrt --idle 0 nice -n 3 taskset -c 0)" \
		"5 $nicer Cpus_allowed_list: 0 5 $nicer Cpus_allowed_list: 0 "
else
	skip "row 51: it is scheduled as the thread that made it" "there is no chrt or taskset that works"
fi
if have chrt && chrt --rr 1 true 2>/dev/null; then
	for policy in --rr --fifo '--reset-on-fork --fifo'; do
		# shellcheck disable=SC2086 # it may be two words
		same "row 51: with real-time priority there is none ($policy)" \
			"$(tasks chrt $policy 1 "$subject" thread)" "create 0 tasks 2"
	done
	same "row 51: not even with MEMGUARD_AGENT=always" \
		"$(MEMGUARD_AGENT=always tasks chrt --rr 1 "$subject" count)" "tasks 1"
else
	skip "row 51: with real-time priority there is none" "it cannot be had here"
fi

same "a forked child has no agent until it starts a thread" \
	"$(tasks "$subject" fork)" "child before 1 create 0 agent yes"
same "row 23: a vforked child runs" "$(tasks "$subject" vfork)" "vfork 0"
same "row 22: 8 threads fork 200 children beside the agent" "$(tasks "$subject" storm)" "bad 0"

same "MEMGUARD_AGENT=always adds it at the start" \
	"$(MEMGUARD_AGENT=always tasks "$subject" count)" "tasks 2"
same "row 43: with MEMGUARD_AGENT=off a program with threads holds nothing but the mapped code" \
	"$(MEMGUARD_AGENT=off tasks "$subject" holdings)" "$("$subject" holdings 2>&1)"
same "MEMGUARD_AGENT=off adds none" "$(MEMGUARD_AGENT=off tasks "$subject" thread)" "create 0 tasks 2"
for off in off 0 no; do
	same "row 8: MEMGUARD=$off adds none" "$(MEMGUARD=$off tasks "$subject" thread)" "create 0 tasks 2"
	same "row 8: MEMGUARD=$off wins over MEMGUARD_AGENT=always" \
		"$(MEMGUARD=$off MEMGUARD_AGENT=always tasks "$subject" count)" "tasks 1"
done

# exec keeps the pid, so a shell can name the process that it becomes.
same "MEMGUARD_AGENT=PID adds it in that process at its start" \
	"$(sh -c 'MEMGUARD_AGENT=$$ LD_PRELOAD=$1 exec "$2" count' sh "$hook" "$subject")" "tasks 2"
same "but not in its children" \
	"$(sh -c 'MEMGUARD_AGENT=$$ LD_PRELOAD=$1 "$2" count' sh "$hook" "$subject")" "tasks 1"
same "SYSTEMD_EXEC_PID=PID does the same" \
	"$(sh -c 'SYSTEMD_EXEC_PID=$$ LD_PRELOAD=$1 exec "$2" count' sh "$hook" "$subject")" "tasks 2"
same "SYSTEMD_EXEC_PID of another process does nothing" \
	"$(SYSTEMD_EXEC_PID=1 tasks "$subject" count)" "tasks 1"
same "MEMGUARD_AGENT=off wins over SYSTEMD_EXEC_PID" \
	"$(sh -c 'MEMGUARD_AGENT=off SYSTEMD_EXEC_PID=$$ LD_PRELOAD=$1 exec "$2" count' sh "$hook" "$subject")" \
	"tasks 1"
same "row 8: a value that does not parse is as if it were not there" \
	"$(MEMGUARD_AGENT=sometimes tasks "$subject" count)" "tasks 1"

# The filter allows everything; that it is there is enough.
if "$subject" filtered true; then
	same "row 27: under a system call filter there is no agent" \
		"$("$subject" filtered env LD_PRELOAD="$hook" "$subject" thread 2>&1)" "create 0 tasks 2"
	same "row 27: not even with MEMGUARD_AGENT=always" \
		"$(MEMGUARD_AGENT=always "$subject" filtered env LD_PRELOAD="$hook" "$subject" count 2>&1)" \
		"tasks 1"
else
	skip "row 27: under a system call filter there is no agent" "no filter can be set here"
fi

exit "$bad"
