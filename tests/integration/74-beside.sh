#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a group is charged for that is no process's anonymous memory: evidence says what it is,
# and the advice leads there. Processes without the hook are blamed only for what is theirs.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
command -v "${cc%% *}" >/dev/null || skip "there is no compiler \"$cc\""
make_group 1000
# shellcheck disable=SC2086 # the compiler may be several words
$cc -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$scratch/subject" "$here/verdict-subject.c" -ldl

# start_in DIRECTORY MODE [COMMAND...] : its pid in $subject
start_in()
{
	local directory=$1 mode=$2

	shift 2
	rm -f "$scratch/in"
	mkfifo "$scratch/in"
	: >"$scratch/out"
	(echo 0 >"$directory/cgroup.procs" && "${@:-exec}" "$scratch/subject" "$mode" <"$scratch/in" >"$scratch/out") &
	subject=$!
	started+=("$subject")
	exec 9>"$scratch/in"
	wait_for 60 grep -q ready "$scratch/out"
}

end_subject()
{
	exec 9>&-
	wait "$1" || true
}

# says FACT ADVICE TEXT : of most of it, and that it is nobody's without the hook if it is not.
says()
{
	ctl --json=short show "$member" >/dev/null
	ctl --json=short explain "$member" >"$scratch/explained" || return 1
	jq -c '.[0] | { verdict, evidence: [.evidence[].text], advice: [.advice[].text] }' "$scratch/explained"
	jq -e --arg fact "$1" --arg advice "$2" --arg text "$3" '.[0] | .verdict == "not-malloc" and
		([.evidence[] | select(.name == $fact and .value > 140 * 1048576)] | length) == 1 and
		([.evidence[] | select(.name == "unhooked_bytes")] | length) == (if $fact == "unhooked_bytes" then 1 else 0 end) and
		.advice[0].name == $advice and (.advice[0].text | contains($text)) and
		(.advice | length) == 1' "$scratch/explained"
}

start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'

for mode in shared pipes; do
	start_in "$group" $mode hooked
	member=$subject
	wait_for 20 is_member "$member"
	fact=shmem_bytes advice=shared text=memfd
	[ $mode = shared ] || fact=kernel_bytes advice=kernel text=pipe:
	claim "$mode: told as what it is" wait_for 20 says $fact $advice $text
	end_subject "$member"
done

# What is shared is told before the allocators are asked again: who stops cannot be. Of its group as of it.
says_both()
{
	ctl --json=short list "$subject" | jq -ce '.[0] | .verdict, .verdict == "not-malloc"' &&
		ctl --json=short explain "$subject" | jq -ce '.[0] | .verdict, .verdict == "not-malloc"'
}
rm -f "$scratch/in"
mkfifo "$scratch/in"
(
	echo 0 >"$group/cgroup.procs"
	MEMGUARD_AGENT=always hooked python3 -c '
import os, signal, sys
sys.stdin.readline()
fd = os.memfd_create("new")
os.truncate(fd, 200 << 20)
import mmap
m = mmap.mmap(fd, 200 << 20)
for i in range(0, len(m), 4096):
    m[i] = 1
os.kill(os.getpid(), signal.SIGSTOP)' <"$scratch/in"
) &
subject=$!
started+=("$subject")
exec 9>"$scratch/in"
wait_for 60 logged "Process $subject .*: RSS"
echo >&9
claim "what is new and shared is told of the group as of its process" wait_for 20 says_both
kill -KILL "$subject"
wait "$subject" || true

# A member that holds little, beside one without the hook, and then one in a group below.
start_retainer_in()
{
	retainer_group=$group start_retainer 8 1
	member=$retainer
	exec 8>&9
	wait_for 20 is_member "$member"
}
start_retainer_in
start_in "$group" map
claim "a process without the hook is told as such" wait_for 20 says unhooked_bytes hook list
(echo 0 >"$group/cgroup.procs" && MEMGUARD_AGENT=always hooked sleep 1000) &
brief=$!
started+=("$brief")
wait_for 20 is_member "$brief"
has_ended()
{
	! is_member "$brief" >/dev/null
}
claim "the figures are known" wait_for 20 says unhooked_bytes hook list
kill "$brief"
wait "$brief" || true
claim "a member ends" wait_for 20 has_ended
# The next look is seconds away.
claim "what is not malloc's is no less known right after that" eval 'ctl --json=short status |
	jq -ce ".groups[0] | .verdict, .verdict == \"not-malloc\""'
end_subject "$subject"
mkdir "$group/below"
start_in "$group/below" map
claim "a group below it is told as such" wait_for 20 says below_bytes below "systemd-cgtop -m"
end_subject "$subject"

finish
