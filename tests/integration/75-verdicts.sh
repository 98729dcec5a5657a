#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The verdict of programs made for it, a disease each, found out by diagnose; and that the
# round it made is in the history. Statistics are asked for after every step of a program,
# which makes hours of its history in seconds; the same diseases over hours, and swap where
# there is none, are in the unit test of the verdict.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
command -v "${cc%% *}" >/dev/null || skip "there is no compiler \"$cc\""
# shellcheck disable=SC2086 # the compiler may be several words
$cc -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$scratch/subject" "$here/verdict-subject.c" -ldl

# start_subject MODE [NAME=VALUE...] : its pid in $subject; false where it cannot be.
start_subject()
{
	local mode=$1

	shift
	rm -f "$scratch/in"
	mkfifo "$scratch/in"
	: >"$scratch/out"
	(exec env LD_PRELOAD="$HOOK" MEMGUARD_SOCKET="$runtime/hook.sock" "$@" \
		"$scratch/subject" "$mode" <"$scratch/in" >"$scratch/out") &
	subject=$!
	started+=("$subject")
	exec 9>"$scratch/in"
	wait_for 60 grep -qE 'ready|cannot' "$scratch/out"
	grep -q ready "$scratch/out" || return 1
	wait_for 20 is_member "$subject"
}

end_subject()
{
	exec 9>&-
	wait "$subject" || true
}

has_stepped()
{
	[ "$(grep -c step "$scratch/out")" -ge "$1" ]
}

# The history's shortest span is a quarter of a second: one figure in each is enough.
steps()
{
	local i

	for ((i = 1; i <= $1; i++)); do
		echo step >&9
		wait_for 20 has_stepped "$i"
		ctl --json=short show "$subject" >/dev/null
		wait_for 20 span_is_over $((i + 1))
	done
}

# By its own clock, as floors of one span are one floor.
span_is_over()
{
	[ $((($(date +%s%N) - began) / 300000000)) -ge "$1" ]
}

# diagnosed VERDICT [ADVICE]
diagnosed()
{
	ctl --json=short diagnose "$subject" >"$scratch/diagnosis" || return 1
	jq -c '.after[0] | { verdict, confidence_percent, evidence: [.evidence[].text], advice: [.advice[].name] }' \
		"$scratch/diagnosis"
	jq -e --arg verdict "$1" '.after[0].verdict == $verdict' "$scratch/diagnosis" &&
		jq -e '.after[0].evidence | length > 0' "$scratch/diagnosis" &&
		{ [ -z "${2:-}" ] || jq -e --arg advice "$2" '[.after[0].advice[].name] | index($advice)' \
			"$scratch/diagnosis"; }
}

# check MODE VERDICT ADVICE STEPS [NAME=VALUE...]
check()
{
	local mode=$1 verdict=$2 advice=$3 n=$4

	shift 4
	began=$(date +%s%N)
	if ! start_subject "$mode" "$@"; then
		echo "ok - $mode: $verdict # SKIP it cannot be made here"
		end_subject
		return
	fi
	began=$(date +%s%N)
	steps "$n"
	claim "$mode: $verdict" diagnosed "$verdict" "$advice"
	end_subject
}

# No round but those of diagnose.
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'

check leak growing heaptrack 20
check fill healthy '' 34
check sawtooth healthy '' 24
check steady healthy '' 12
check holes fragmented allocator 0
check burst retained release-idle 0
check huge retained '' 0
check map not-malloc maps 0
check stacks not-malloc stacks 0
check beside not-malloc maps 0 GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384
check fork healthy '' 0
if [ -n "$(sed 1d /proc/swaps)" ]; then
	check pageout healthy '' 0
else
	echo "ok - pageout: healthy # SKIP there is no swap; test-verdict has its figures"
fi
start_subject burst
tells_people()
{
	ctl diagnose "$subject" >"$scratch/text"
	cat "$scratch/text"
	[ "$(grep -cE '^ *(Verdict|Evidence|Before|Release|After|Try):' "$scratch/text")" = 6 ]
}
claim "diagnose tells people what was before and after the release, the verdict, why, and what to try" \
	tells_people
claim "list has the verdict" eval 'COLUMNS=120 ctl list "$subject" | has "retained 95%"'
claim "show has it" eval 'ctl show "$subject" | has "Verdict: *retained (95% sure)"'
claim "explain has the group's" eval 'ctl --json=short explain "$subject" | jq -e ".[0].advice | length > 0"'
claim "history ends with that round" eval \
	'ctl --json=short history "$subject" | jq -e ".[-1] | .trigger == \"command\" and .rss_after_bytes < .rss_before_bytes and .verdict != null"'
claim "in a table too" eval 'ctl history | tail -n +2 | has "command .*of . answered"'
claim "history of what is not guarded is an error" eval '! ctl history no-such.service'
claim "diagnose of a process that is not guarded says why" eval \
	'! ctl diagnose $$ 2>"$scratch/told" && grep -q "is guarded" "$scratch/told"'
end_subject
# Five children with a thread each, and so an agent, that share what the first one has.
forker='
import os, threading, time
kept = [bytes(2000) for _ in range(40000)]
for _ in range(5):
    if os.fork() == 0:
        break
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
time.sleep(1000)
'
if may_make_group >/dev/null; then
	(
		echo 0 >"$group/cgroup.procs"
		hooked MEMGUARD_AGENT=always /usr/bin/python3 -c "$forker"
	) &
	forker=$!
	claim "forks that share their pages are members" wait_for 60 eval \
		'[ "$(ctl --json=short list "$group" | jq length)" = 6 ]'
	claim "diagnose says that sums of their rows have these more than once" eval \
		'ctl diagnose "$group" | has "Before: .*; what processes share is in this for each of them"'
	while read -r pid; do
		kill "$pid"
	done <"$group/cgroup.procs"
	wait "$forker" || true
else
	echo "ok - forks that share their pages # SKIP needs root and a memory controller"
fi
claim "history remembers" eval '[ "$(ctl --json=short history | jq length)" -ge 9 ]'

#
# enable --allocator=: what it writes works, and what is missing is named.
#

dropin=$scratch/root/etc/systemd/system/web.service.d/50-memguard.conf
mkdir -p "$scratch/root/usr/lib"
claim "an allocator that is not installed is told with its package" eval \
	'! "$MEMGUARDCTL" --root="$scratch/root" --hook="$HOOK" --allocator=jemalloc enable web 2>"$scratch/told" &&
	grep -q "apt install libjemalloc2" "$scratch/told" && [ ! -e "$dropin" ]'
claim "a root that is not there is not made" eval \
	'! "$MEMGUARDCTL" --root="$scratch/rot" --hook="$HOOK" enable web 2>"$scratch/told" &&
	grep -q "is no directory" "$scratch/told" && [ ! -e "$scratch/rot" ]'
claim "a unit that is not below it is told" eval \
	'"$MEMGUARDCTL" --root="$scratch/root" --hook="$HOOK" enable web 2>"$scratch/told" &&
	grep -q "There is no web.service below" "$scratch/told"'
mkdir -p "$scratch/root/usr/lib/systemd/system"
: >"$scratch/root/usr/lib/systemd/system/web@.service"
claim "and a template is one for its instances" eval \
	'"$MEMGUARDCTL" --root="$scratch/root" --hook="$HOOK" enable web@1 2>"$scratch/told" &&
	[ ! -s "$scratch/told" ] && "$MEMGUARDCTL" --root="$scratch/root" disable web@1 web'
claim "an unknown one is wrong usage" eval \
	'"$MEMGUARDCTL" --root="$scratch/root" --allocator=hoard enable web; [ $? = 2 ]'
for name in jemalloc:libjemalloc.so.2 mimalloc:libmimalloc.so.2 tcmalloc:libtcmalloc_minimal.so.4; do
	library=$(find /usr/lib -maxdepth 2 -name "${name#*:}" -print -quit)
	if [ -z "$library" ]; then
		echo "ok - enable --allocator=${name%:*} # SKIP it is not installed"
		continue
	fi
	mkdir -p "$scratch/root${library%/*}"
	cp -L "$library" "$scratch/root$library"
	claim "enable --allocator=${name%:*} writes it in front of the hook" eval \
		'"$MEMGUARDCTL" --root="$scratch/root" --hook="$HOOK" --allocator=${name%:*} enable web &&
		grep -qF "\"LD_PRELOAD=$library:$HOOK\"" "$dropin"'
	preload=$(sed -n 's/^Environment="LD_PRELOAD=\(.*\)"$/\1/p' "$dropin")
	start_subject burst "LD_PRELOAD=$preload"
	claim "under it malloc is ${name%:*}'s, and guarded" eval \
		'ctl --json=short list "$subject" | jq -e --arg name ${name%:*} ".[0].malloc == \$name"'
	end_subject
done
claim "disable undoes it" eval '"$MEMGUARDCTL" --root="$scratch/root" disable web && [ ! -e "$dropin" ]'

finish
