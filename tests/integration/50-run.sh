#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `memguardctl run`: needs no daemon and no root, is transparent, and ends with an account.

. "$(dirname "$0")/lib.sh"

run()
{
	"$MEMGUARDCTL" run --hook="$HOOK" "$@"
}

exits_with()
{
	local expected=$1 status=0

	shift
	"$@" >"$scratch/run.out" 2>"$scratch/run.err" || status=$?
	cat "$scratch/run.err"
	[ $status -eq "$expected" ]
}

claim "the exit status passes through" exits_with 7 run -- sh -c 'exit 7'
claim "a signal becomes 128 + n" exits_with 143 run -- sh -c 'kill -TERM $$'
claim "no such command is 127" exits_with 127 run -- "$scratch/nowhere"
claim "not executable is 126" exits_with 126 run -- "$scratch"
claim "standard output is the command's alone" eval \
	'[ "$(run -- echo hello 2>/dev/null)" = hello ]'
claim "a bad size is a usage error" exits_with 2 run --limit=12Q -- true
claim "no command is a usage error" exits_with 2 run

# One whose address sanitizer is a library, as gcc makes it. It tells whether it has the hook.
cat >"$scratch/sane.c" <<'END'
#include <stdio.h>
#include <string.h>
int main(void)
{
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "libmemguard-hook"))
			return 4;
	return 3;
}
END
read -ra compiler <<<"${CC:-cc}"
if "${compiler[@]}" -fsanitize=address -o "$scratch/sane" "$scratch/sane.c" 2>/dev/null &&
	readelf -dW "$scratch/sane" | grep -q 'NEEDED.*libasan'; then
	claim "row 9: a program whose sanitizer is a library runs without the hook" exits_with 3 run -- \
		"$scratch/sane"
	claim "row 9: which is told" grep -q "address sanitizer" "$scratch/run.err"
	claim "row 9: with the option that is named there it has the hook" exits_with 4 env \
		ASAN_OPTIONS=verify_asan_link_order=0 "$MEMGUARDCTL" run --hook="$HOOK" -- "$scratch/sane"
else
	echo "ok - row 9: a program whose sanitizer is a library # SKIP ${compiler[*]} does not make one"
fi

# Long enough to be read, by its resident memory.
if printf '#include <unistd.h>\nint main(void) { return (int)read(0, &(char){ 0 }, 1); }\n' |
	"${compiler[@]}" -static -x c -o "$scratch/static" - 2>/dev/null; then
	mkfifo "$scratch/static.in"
	(exec "$MEMGUARDCTL" run --hook="$HOOK" --runtime-directory="$scratch/static.run" -- "$scratch/static" \
		<"$scratch/static.in" 2>"$scratch/static.err") &
	run=$!
	exec 8>"$scratch/static.in"
	was_read()
	{
		"$MEMGUARDCTL" --runtime-directory="$scratch/static.run" --json=short status |
			jq -e ".groups[0].peak_bytes > 0"
	}
	claim "a static program runs" wait_for 20 was_read
	exec 8>&-
	wait $run || true
	claim "and has no verdict, since nobody could be measured" grep -q "no verdict: " "$scratch/static.err"
else
	echo "ok - a static program has no verdict # SKIP ${compiler[*]} does not make one"
fi

(
	exec "$MEMGUARDCTL" run --hook="$HOOK" -- \
		sh -c 'trap "echo got; exit 5" USR1; echo ready; while :; do sleep 0.1; done'
) >"$scratch/forward" 2>/dev/null &
supervisor=$!
started+=("$supervisor")
wait_for 20 grep -q ready "$scratch/forward"
kill -USR1 "$supervisor"
status=0
wait "$supervisor" || status=$?
claim "signals are passed on" grep -q got "$scratch/forward"
claim "and their effect comes back" [ $status -eq 5 ]

printf '[Trigger]\nRetainedHigh=32M\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n' >"$scratch/run.conf"
rss_of_child()
{
	local pid

	pid=$(pgrep -P "$1" retainer) && rss_is_below "$pid" "$2"
}
mkfifo "$scratch/in"
(
	exec "$MEMGUARDCTL" run --hook="$HOOK" --config="$scratch/run.conf" --limit=400M \
		--runtime-directory="$scratch/calm" -- "$shims/retainer" 256
) <"$scratch/in" >"$scratch/out" 2>"$scratch/run.err" &
supervisor=$!
started+=("$supervisor")
exec 9>"$scratch/in"
claim "the command runs under it" wait_for 60 grep -q retained "$scratch/out"
claim "and gives back what it retains" wait_for 60 rss_of_child "$supervisor" 64
# Its answer comes after that: who ends before has released nothing that anybody knows of.
has_answered()
{
	"$MEMGUARDCTL" --runtime-directory="$scratch/calm" --json=short history |
		jq -e "any(.kind == \"released\")"
}
claim "and says so" wait_for 20 has_answered
exec 9>&-
status=0
wait "$supervisor" || status=$?
claim "it ends well" [ $status -eq 0 ]
claim "with an account: peak, released, verdict" \
	eval 'grep -qE "peak .*released [0-9.]+[MG]" "$scratch/run.err" && grep -q "verdict" "$scratch/run.err"'

# All memory is a child's, which ends right before its shell.
printf '[Trigger]\nRetainedHigh=0\nPressureSome=0\nMachinePressureSome=0\n' >"$scratch/parted.conf"
(
	exec "$MEMGUARDCTL" run --hook="$HOOK" --config="$scratch/parted.conf" \
		--runtime-directory="$scratch/parted" -- sh -c '"$1" 128; true' - "$shims/retainer"
) <"$scratch/in" >"$scratch/out" 2>"$scratch/run.err" &
supervisor=$!
started+=("$supervisor")
exec 9>"$scratch/in"
sees_both()
{
	"$MEMGUARDCTL" --runtime-directory="$scratch/parted" --json=short status 2>/dev/null |
		jq -e '.groups[0] | .usage_bytes > 128 * 1024 * 1024' >/dev/null &&
		"$MEMGUARDCTL" --runtime-directory="$scratch/parted" --json=short list |
		jq -e '[.[] | select(.command == "sh" and .stats_age_usec)] | length == 1' >/dev/null
}
claim "a shell and its child are measured" wait_for 60 sees_both
exec 9>&-
status=0
wait "$supervisor" || status=$?
claim "what a child had that has ended is not called memory outside of malloc" eval \
	'[ $status -eq 0 ] && grep verdict "$scratch/run.err" && ! grep -q not-malloc "$scratch/run.err"'

if [ "$(id -u)" = 0 ] && command -v unshare >/dev/null; then
	claim "it works as PID 1 and reaps orphans" exits_with 3 unshare --fork --pid --mount-proc \
		"$MEMGUARDCTL" run --hook="$HOOK" --runtime-directory="$scratch/pid1" -- \
		sh -c 'orphan=$( (sleep 0.1 >/dev/null & echo $!) )
			for i in $(seq 400); do [ -e "/proc/$orphan" ] || exit 3; sleep 0.05; done; exit 9'
fi
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$scratch"
	claim "it works without root" exits_with 4 setpriv --reuid=65534 --regid=65534 --clear-groups \
		env TMPDIR=/tmp "$MEMGUARDCTL" run --hook="$HOOK" --limit=200M -- sh -c 'exit 4'
fi
if [ "$(id -u)" = 0 ] && [ -e /sys/fs/cgroup/memory/memory.usage_in_bytes ]; then
	# Figures, the kill and the end come in any order within a millisecond.
	for ((i = 0; i < 20; i++)); do
		exits_with 137 run --limit=48M -- "$shims/retainer" 300 &&
			grep -q "peak 4[78].* of 48" "$scratch/run.err" &&
			grep -q "OOM killer ended 1" "$scratch/run.err" &&
			! grep -q healthy "$scratch/run.err" || break
	done >"$scratch/killed"
	claim "a command that is killed at its limit is not healthy in its account, in $i of 20 runs" \
		eval '[ $i -eq 20 ] || ! cat "$scratch/killed"'
	for ((i = 0; i < 20; i++)); do
		exits_with 0 run --limit=200M -- true && ! grep "peak [0-9.]*M" "$scratch/run.err" || break
	done >"$scratch/short"
	claim "one that has ended is not looked for in other groups, in $i of 20 runs" \
		eval '[ $i -eq 20 ] || ! cat "$scratch/short"'
	# As a container that was out of memory before.
	make_group 64
	in_group()
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		"$@"
	)
	in_group sh -c 'head -c 300M /dev/zero | tail -c 200M' >/dev/null 2>&1 || true
	claim "the kernel ends a process" grep -q '^oom_kill [1-9]' "$group/memory.oom_control"
	claim "a command that runs there later" exits_with 0 in_group run -- \
		sh -c 'echo | "$1" 16' - "$shims/retainer"
	claim "does not have that in its account" eval \
		'grep -q "peak .* of 64" "$scratch/run.err" && ! grep -q "OOM killer" "$scratch/run.err"'
fi
finish
