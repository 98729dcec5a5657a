#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Freed parts of huge pages: still charged, told as held, and no usage that anything is done
# for; and that is right, since the kernel takes them at the limit and kills nobody. A release
# leaves none: the hook has the kernel split them.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
command -v "${cc%% *}" >/dev/null || skip "there is no compiler \"$cc\""
# shellcheck disable=SC2086 # the compiler may be several words
$cc -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$scratch/subject" "$here/verdict-subject.c" -ldl

make_group 230
grep -q '^total_swapcached ' "$group/memory.stat" || skip "this kernel does not count the swap cache"
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'
mkfifo "$scratch/in"
(
	echo 0 >"$group/cgroup.procs"
	hooked "$scratch/subject" parts <"$scratch/in" >"$scratch/out"
) &
subject=$!
started+=("$subject")
exec 9>"$scratch/in"
wait_for 60 grep -qE 'ready|cannot' "$scratch/out"
grep -q ready "$scratch/out" || skip "huge pages cannot be had here"
wait_for 20 is_member "$subject"

# says JQ-CONDITION : of the group, on a new look.
says()
{
	ctl --json=short explain "$subject" >"$scratch/explain"
	jq -c '.[0] | { usage_bytes, anon_bytes, held_bytes, state, steps }' "$scratch/explain"
	jq -e ".[0] | $1" "$scratch/explain"
}

has_stepped()
{
	[ "$(grep -c step "$scratch/out")" -ge "$1" ]
}

claim "they are charged" says '.usage_bytes > 190 * 1048576'
claim "and held" wait_for 20 says '.held_bytes > 180 * 1048576'
claim "which is no usage" says '.anon_bytes < 40 * 1048576'
claim "and nothing is due for" wait_for 20 says '.state == "calm"'
claim "in words, too" eval 'grep "Held: .* are freed but still charged" <<<"$(ctl explain "$subject")"'

for n in 1 2 3; do
	echo grow >&9
	claim "it grows by 40 MiB more: $((n * 40))" wait_for 60 has_stepped $n
done
claim "nobody was killed" grep -qx 'oom_kill 0' "$group/memory.oom_control"
claim "the kernel has taken them" wait_for 20 says '.held_bytes < 2 * 1048576'
exec 9>&-
wait "$subject" || true

# A heap in huge pages, of which a release leaves something in each. No round comes by itself.
echo $((800 << 20)) >"$group/memory.limit_in_bytes"
for method in full borrow; do
	rm "$scratch/in"
	mkfifo "$scratch/in"
	(
		echo 0 >"$group/cgroup.procs"
		hooked "$scratch/subject" huge <"$scratch/in" >"$scratch/out"
	) &
	subject=$!
	started+=("$subject")
	exec 9>"$scratch/in"
	wait_for 60 grep -qE 'ready|cannot' "$scratch/out"
	if ! grep -q ready "$scratch/out"; then
		echo "ok - $method: # SKIP no huge pages are to be had"
		exec 9>&-
		continue
	fi
	wait_for 20 is_member "$subject"
	claim "$method: its heap is in huge pages" \
		jq -e '.[0].heap_huge_bytes > 150 * 1048576' <<<"$(ctl --json=short show "$subject")"
	claim "$method: a release" eval 'ctl --json=short --method=$method trim "$subject" >"$scratch/trim"'
	claim "$method: lowers the charge too" \
		jq -e '.[0] | .released_bytes > 150 * 1048576 and .held_bytes == 0' "$scratch/trim"
	exec 9>&-
	wait "$subject" || true
done
finish
