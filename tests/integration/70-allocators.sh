#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs on other allocators, through the daemon: released on command and while calm,
# tuned, and told of when a jemalloc is linked in that the hook cannot see.

. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
command -v "${cc%% *}" >/dev/null || skip "there is no compiler \"$cc\""

compile()
{
	# shellcheck disable=SC2086 # the compiler may be several words
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -pthread "$@"
}

# start_subject PROGRAM MODE PRELOAD [NAME=VALUE...] : its pid in $subject, its output in $out.
start_subject()
{
	local program=$1 mode=$2 preload=$3

	shift 3
	rm -f "$scratch/in"
	mkfifo "$scratch/in"
	out=$scratch/out-$RANDOM
	(enter && exec env LD_PRELOAD="$HOOK:$preload" MEMGUARD_SOCKET="$runtime/hook.sock" "$@" \
		"$scratch/$program" "$mode" <"$scratch/in" >"$out") &
	subject=$!
	started+=("$subject")
	exec 9>"$scratch/in"
	wait_for 60 grep -q ready "$out"
	wait_for 20 is_member "$subject"
}

goes_on()
{
	echo count >&9
	wait_for 20 grep -q '^good 84$' "$out"
}

end_subject()
{
	exec 9>&-
	wait "$subject"
}

shows()
{
	ctl --json=short show "$subject" | has "$1"
}

loads()
{
	[ -z "$(LD_PRELOAD=$1 true 2>&1)" ]
}

# As under systemd: it may not look into programs, it knows what their hooks tell.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	printf '#!/bin/sh\nexec setpriv --bounding-set=-sys_ptrace "%s" "$@"\n' "$MEMGUARDD" \
		>"$scratch/memguardd"
	chmod 755 "$scratch/memguardd"
	MEMGUARDD=$scratch/memguardd
fi

compile -o "$scratch/plain" "$here/allocators-subject.c"
compile -Wl,--build-id -o "$scratch/linked" "$here/allocators-subject.c" -Wl,-Bstatic -ljemalloc_pic \
	-Wl,-Bdynamic -lm -ldl -lstdc++ 2>/dev/null || true

apart
start_daemon '[Guard]\nMode=observe\n'
for each in libjemalloc.so.2:stay libmimalloc.so.2:end libtcmalloc_minimal.so.4:end; do
	library=${each%:*}
	if ! loads "$library"; then
		echo "ok - $library # SKIP it is not installed"
		continue
	fi
	start_subject plain "${each#*:}" "$library"
	claim "$library: holds what it has freed" [ "$(rss_mib "$subject")" -gt 128 ]
	claim "$library: \"trim\" takes it" trims "$subject"
	claim "$library: three quarters and more are back" rss_is_below "$subject" 44
	claim "$library: it goes on" goes_on
	claim "$library: and ends well" end_subject
done

if loads libmimalloc.so.2; then
	start_subject plain stay libmimalloc.so.2
	claim "mimalloc: diagnose says why nothing is known" eval \
		'ctl diagnose "$subject" | tee "$scratch/told" | has "mimalloc does not tell"'
	claim "and predicts nothing" grep -q 'where nothing could be predicted' "$scratch/told"
	claim "and does not propose to do the same again" eval \
		'! grep -q "memguardctl diagnose" "$scratch/told"'
	claim "but to have it give back by itself" grep -q 'tune .* DecaySec=0' "$scratch/told"
	end_subject
fi

if loads libjemalloc.so.2; then
	start_subject plain stay libjemalloc.so.2
	claim "\"show\" tells what another allocator holds" shows \
		'"foreign": *\[{[^]]*"allocator": *"jemalloc"'
	claim "\"list\" tells no stall of it, which nobody can predict" eval \
		'COLUMNS=200 ctl list "$subject" | has -E "^ *$subject .* - +- +[0-9a-z]+ ago +jemalloc "'
	claim "\"tune\" sets its decay" eval \
		'ctl --json=short tune "$subject" DecaySec=0 | has "\"effect\": *\"set\""'
	claim "which takes effect at once" rss_is_below "$subject" 44
	end_subject
fi

start_subject plain stay '' GLIBC_TUNABLES=glibc.malloc.arena_test=1
claim "\"tune\" tells that a limit of arenas comes too late, and the line for next time" eval \
	'ctl --json=short tune "$subject" ArenaMax=2 | tee "$scratch/tuned" | has "\"effect\": *\"late\"" &&
	grep -q "Environment=MEMGUARD_MALLOPT=arena_max=2" "$scratch/tuned"'
claim "and that thresholds go in pairs" eval \
	'ctl tune "$subject" MmapThreshold=1M | has "other threshold along"'
end_subject

if [ -x "$scratch/linked" ]; then
	start_subject linked stay ''
	claim "\"show\" tells of a jemalloc that is linked in" shows '"missing_symbols": *"[0-9a-f]*:mallctl='
	symbols=$(ctl --json=short show "$subject" | sed 's/.*"missing_symbols": *"\([^"]*\)".*/\1/')
	claim "which cannot be released" eval '! ctl trim "$subject"'
	end_subject
	start_subject linked stay '' MEMGUARD_SYMBOLS="$symbols"
	claim "with what it said it can" trims "$subject"
	claim "and nearly all is back" rss_is_below "$subject" 44
	claim "and there is no more to tell" eval '! shows missing_symbols'
	claim "it goes on" goes_on
	end_subject
else
	echo "ok - jemalloc linked in # SKIP there is no libjemalloc_pic.a"
fi
kill "$daemon"
wait "$daemon" || true

start_daemon '[Trigger]\nRetainedHigh=32M\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n[Tune]\nDecaySec=0\n'
if loads libtcmalloc_minimal.so.4; then
	start_subject plain end libtcmalloc_minimal.so.4
	claim "tcmalloc: what a calm program retains is released without a command" \
		wait_for 60 rss_is_below "$subject" 44
	end_subject
fi
if loads libmimalloc.so.2; then
	# Set to the default, so that the daemon's DecaySec= leaves it.
	start_subject plain end libmimalloc.so.2 MIMALLOC_DECOMMIT_DELAY=25
	claim "mimalloc: what ended threads left is tried for, and back" \
		wait_for 60 rss_is_below "$subject" 44
	claim "and it is said why" wait_for 10 logged 'released [0-9].*allocator does not tell'
	claim "\"explain\" does not call it expected to be nothing" eval \
		'ctl explain "$subject" | has "nothing could be predicted"'
	claim "\"show\" does not say that nothing is in use" eval \
		'ctl show "$subject" | has "mimalloc: tells neither"'
	end_subject
	start_subject plain stay libmimalloc.so.2
	claim "mimalloc: DecaySec=0 reaches threads that stay" wait_for 20 eval \
		'ctl --json=short show "$subject" | has "\"tuned\": *\[\"decay\"\]"'
	end_subject
fi

if [ -x "$scratch/linked" ]; then
	printf '[Trigger]\nRetainedHigh=32M\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n' >"$scratch/run.conf"
	is_released()
	{
		local pid

		pid=$(pgrep -P "$1" linked) && rss_is_below "$pid" 44
	}
	rm -f "$scratch/in"
	mkfifo "$scratch/in"
	(enter && exec env PATH="$scratch:$PATH" "$MEMGUARDCTL" run --hook="$HOOK" --config="$scratch/run.conf" -- \
		linked stay <"$scratch/in" >"$scratch/run-out" 2>/dev/null) &
	supervisor=$!
	started+=("$supervisor")
	exec 9>"$scratch/in"
	wait_for 60 grep -q ready "$scratch/run-out"
	claim "\"run\" looks for itself, and releases" wait_for 60 is_released "$supervisor"
	exec 9>&-
	wait "$supervisor" || true
fi

finish
