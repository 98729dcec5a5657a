#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A threaded python3 program: the same output and status with and without the hook, also
# with a release in the middle of its work.
#
#	20-python.sh BUILD

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
export HOOK=$build/libmemguard-hook.so MEMGUARDD=$build/memguardd MEMGUARDCTL=$build/memguardctl
export top_builddir=$build
. "$top/tests/integration/lib.sh"

program=$top/tests/services/threads.py
words()
{
	printf 'burst\nburst\nquit\n'
}

words | python3 "$program" >"$scratch/plain" 2>"$scratch/plain.err"
claim "it does something" test -s "$scratch/plain"

start_daemon '[Trigger]\nRetainedHigh=8M\n[Trim]\nMinRelease=1M\nCooldownSec=1s\n'
for agent in auto always; do
	words | MEMGUARD_AGENT=$agent LD_PRELOAD=$HOOK MEMGUARD_SOCKET=$runtime/hook.sock \
		python3 "$program" >"$scratch/hooked" 2>"$scratch/hooked.err"
	claim "$agent: the same output" cmp "$scratch/plain" "$scratch/hooked"
	claim "$agent: nothing on standard error" cmp "$scratch/plain.err" "$scratch/hooked.err"
done

for agent in auto always; do
	rm -f "$scratch/in" && mkfifo "$scratch/in"
	(MEMGUARD_AGENT=$agent hooked python3 "$program" <"$scratch/in" >"$scratch/out" 2>"$scratch/out.err") &
	python=$!
	started+=("$python")
	exec 9>"$scratch/in"
	echo burst >&9
	claim "$agent: it becomes a member" wait_for 60 is_member "$python"
	claim "$agent: a release in the middle of its work" wait_for 30 ctl trim "$python"
	printf 'burst\nquit\n' >&9
	exec 9>&-
	claim "$agent: it ends with status 0" wait "$python"
	claim "$agent: and the same output" cmp "$scratch/plain" "$scratch/out"
	claim "$agent: and nothing on standard error" cmp "$scratch/plain.err" "$scratch/out.err"
done
finish
