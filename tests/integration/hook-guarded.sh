#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Hazards that show only when a daemon asks: filters that come later, a busy loader, other
# allocators, namespaces, pids that come back, programs that stopped or that do not want to
# be preloaded.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

read -ra compiler <<<"${CC:-cc}"
command -v "${compiler[0]}" >/dev/null || skip "there is no compiler \"${compiler[0]}\""
grep -q '^Seccomp:[[:space:]]*0$' /proc/self/status ||
	skip "this process has a system call filter, under which the hook does nothing"

# build NAME OUTPUT [FLAG...] : tests/integration/hook-NAME.c
build()
{
	"${compiler[@]}" -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$scratch/$2" "$here/hook-$1.c" "${@:3}"
}
build corner corner
build rights rights

# start WHERE COMMAND... : under the hook; its pid in $program, fd 9 is its standard input.
start()
{
	local where=$1

	shift
	rm -f "$scratch/in"
	mkfifo "$scratch/in"
	: >"$scratch/$where"
	(hooked "$@" <"$scratch/in" >"$scratch/$where" 2>&1) &
	program=$!
	started+=("$program")
	exec 9>"$scratch/in"
}

# ends STATUS : the program, at the end of its input.
ends()
{
	local status=0

	exec 9>&-
	wait "$program" || status=$?
	echo "ended with $status"
	[ "$status" -eq "$1" ]
}

# said TEXT WHERE : within the time of a fault.
said()
{
	wait_for 60 grep -q "$1" "$scratch/$2"
}

# malloc_of PID : what serves malloc there, as its hook tells.
malloc_of()
{
	ctl --json=short list "$1" | jq -r '.[0].malloc'
}

is_no_member()
{
	! is_member "$1"
}

trap '' PIPE
start_daemon

#
# Row 28: all but read, write and the end kills from here on; the daemon does not know yet.
#

start filtered "$scratch/rights" filter-all
said agent filtered
claim "row 28: the program is a member" wait_for 60 is_member "$program"
echo filter >&9
if said filtered filtered && ! grep -q '^no filter' "$scratch/filtered"; then
	claim "row 28: asked under a new filter, it is left alone" eval '! ctl trim "$program"'
	claim "row 28: and shown as such" eval \
		'[ "$(ctl --json=short list "$program" | jq ".[0].seccomp_changed")" = true ]'
	echo alive >&9
	claim "row 28: it lives" said alive filtered
	kill -KILL "$daemon"
	wait "$daemon" 2>/dev/null || true
	rm -f "$runtime/bus"
	start_daemon 9>&-
	# Its connection has ended: the one thing that wakes an agent without being asked.
	case $(uname -m) in
	x86_64) read_nr=0 ;;
	*) read_nr=63 ;;
	esac
	agent=$(sed -n 's/^agent \([0-9]*\) .*/\1/p' "$scratch/filtered")
	claim "row 28: the end of the daemon does not kill it" wait_for 60 \
		grep -q "^$read_nr " "/proc/$program/task/$agent/syscall"
	echo "still alive" >&9
	claim "row 28: it lives on" said "still alive" filtered
	claim "row 28: and ends as it would" ends 5
else
	ends 77 || true
	echo "ok - row 28: a filter that comes later # SKIP none can be set here"
fi

#
# Row 45: a thread holds the loader's lock, in a constructor that waits.
#

cat >"$scratch/stuck.c" <<'END'
#include <pthread.h>
#include <unistd.h>
static void *wait_for_ever(void *arg) { for (;;) pause(); return arg; }
__attribute__((constructor)) static void stick(void)
{
	pthread_t thread;
	char c;
	if (FIRST && pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
		_exit(1);
	if (write(1, "stuck\n", 6) == 6)
		while (read(0, &c, 1) > 0)
			;
}
END
for first in 0 1; do
	"${compiler[@]}" -shared -fPIC -D_GNU_SOURCE -DFIRST=$first -o "$scratch/stuck-$first.so" "$scratch/stuck.c"
done
start stuck "$scratch/corner" stuck "$scratch/stuck-0.so"
said stuck stuck
wait_for 60 is_member "$program"
claim "row 45: a release while a constructor waits in dlopen()" trims "$program"
claim "row 45: and the program goes on" eval 'ends 0 && grep -q done "$scratch/stuck"'
start stuck "$scratch/corner" stuck-first "$scratch/stuck-1.so"
said stuck stuck
claim "row 45: the first thread made in a constructor brings the agent" wait_for 60 is_member "$program"
claim "row 45: which releases while the constructor waits" trims "$program"
claim "row 45: and the program goes on then too" eval 'ends 0 && grep -q done "$scratch/stuck"'
# Also where it is switched off it stands in front of pthread_create().
for off in on off; do
	MEMGUARD=$off start beside "$scratch/corner" stuck-beside "$scratch/stuck-0.so"
	claim "row 45: the first thread is made while another's constructor waits (MEMGUARD=$off)" said made beside
	claim "row 45: and the program ends as it would" ends 0
done

#
# Row 52: the heap is write-protected for a time in which the program does not allocate.
#

start protected "$scratch/corner" protected
said ready protected
claim "row 52: the program is a member" wait_for 60 is_member "$program"
echo protect >&9
said protected protected
claim "row 52: its heap is left alone while nobody may write to it" eval \
	'! ctl trim --method=borrow "$program" >"$scratch/told" 2>&1'
claim "row 52: which is told as what could not be done now" grep -q "tried and could not" "$scratch/told"
claim "row 52: also by a full trim" eval '! ctl trim --method=full "$program"'
claim "row 52: and is not tuned" eval '! ctl tune "$program" arena_max=2'
echo open >&9
claim "row 52: the program lives" said "open again" protected
claim "row 52: then it is asked as any other" trims "$program"
claim "row 52: and ends as it would" ends 0

#
# Row 46: what a release took is told.
#

start retained "$scratch/corner" retain
said ready retained
wait_for 60 is_member "$program"
claim "row 46: a release tells how long it held the allocator" eval \
	'ctl --json=short trim "$program" | jq -e ".[0].answered == 1 and .[0].longest_usec > 0"'

#
# Row 50: stopped, traced.
#

halt "$program"
ctl trim "$program" >"$scratch/late" 2>&1 &
asking=$!
claim "row 50: the daemon goes on while a stopped process is asked" ctl status
claim "row 50: and does not wake it" grep -q '^State:.*stopped' "/proc/$program/status"
kill -CONT "$program"
wait "$asking" || true
claim "row 50: it is asked again when it goes on" wait_for 60 ctl trim "$program"
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	strace -f -o "$scratch/trace" -p "$program" 2>/dev/null &
	tracer=$!
	wait_for 20 grep -qE '^TracerPid:[[:space:]]*[1-9]' "/proc/$program/status"
	claim "row 50: a traced process is asked" trims "$program"
	kill "$tracer"
	wait "$tracer" 2>/dev/null || true
	claim "row 50: and afterwards too" trims "$program"
else
	echo "ok - row 50: a traced process is asked # SKIP no strace that works"
fi
claim "row 50: it ends as it would" ends 0

#
# Row 44: an allocator that is part of the program.
#

jemalloc=$("${compiler[@]}" -print-file-name=libjemalloc.a)
for flag in "" -rdynamic; do
	if ! build corner with-jemalloc $flag -Wl,--whole-archive "$jemalloc" -Wl,--no-whole-archive -lstdc++ -lm -ldl \
		2>"$scratch/claim"; then
		echo "ok - row 44: jemalloc linked in${flag:+ with $flag} # SKIP there is no libjemalloc.a"
		continue
	fi
	start linked "$scratch/with-jemalloc" retain
	said ready linked
	wait_for 60 is_member "$program"
	claim "row 44: jemalloc linked in${flag:+ with $flag} is not taken for glibc ($(malloc_of "$program"))" \
		eval '[ "$(malloc_of "$program")" != glibc ]'
	ctl trim "$program" >/dev/null 2>&1 || true
	ctl tune "$program" arena_max=2 >/dev/null 2>&1 || true
	claim "row 44: asked to release and to tune it lives, and ends as it would" ends 0
done

#
# Row 47: no memory may become executable.
#

start mdwe "$scratch/corner" mdwe
said 'ready\|mdwe' mdwe
if grep -q ready "$scratch/mdwe"; then
	wait_for 60 is_member "$program"
	claim "row 47: a process that may not make memory executable lends as any other" trims --method=borrow "$program"
	claim "row 47: and ends as it would" ends 0
else
	ends 77 || true
	echo "ok - row 47: without executable memory # SKIP $(cat "$scratch/mdwe")"
fi

#
# Rows 10, 48: programs that refuse, or drop, the preload are seen as not guarded.
#

cat >"$scratch/refuses" <<'END'
#!/bin/sh
[ -z "$LD_PRELOAD" ] || { echo "no preloads, please"; exit 9; }
echo fine
END
chmod +x "$scratch/refuses"
claim "row 10: a program that refuses to be preloaded ends as it wants to" eval \
	'r=0; (hooked "$scratch/refuses" >"$scratch/refused") || r=$?; [ $r -eq 9 ]'
claim "row 10: and the daemon does not start it again, nor anything else" eval \
	'[ "$(grep -c . "$scratch/refused")" = 1 ] && [ "$(ctl --json=short list | jq length)" = 0 ]'
claim "row 10: without the variable it runs" eval '[ "$("$scratch/refuses")" = fine ]'

start scrubbed sh -c 'exec env -u LD_PRELOAD "$0" retain' "$scratch/corner"
said ready scrubbed
claim "row 48: a program that dropped the variable has no hook" eval \
	'! grep -q memguard-hook "/proc/$program/maps"'
claim "row 48: and is told not to be guarded" eval \
	'! ctl list "$program" >"$scratch/told" 2>&1 && grep -q "is guarded" "$scratch/told"'
claim "row 48: nor is anything done to it" eval '! ctl trim "$program"'
claim "row 48: it ends as it would" ends 0

#
# Row 49: what enable makes, disable removes; and nothing of all this is system-wide.
#

mkdir -p "$scratch/root"
claim "row 49: enable makes a drop-in" "$MEMGUARDCTL" --root="$scratch/root" --hook="$HOOK" enable nginx
claim "row 49: and no other file" eval \
	'[ "$(cd "$scratch/root" && find . -type f)" = ./etc/systemd/system/nginx.service.d/50-memguard.conf ]'
claim "row 49: disable leaves none" eval \
	'"$MEMGUARDCTL" --root="$scratch/root" disable nginx && [ -z "$(find "$scratch/root" -type f)" ]'
claim "row 49: neither program knows /etc/ld.so.preload" eval \
	'! grep -q "ld\.so\.preload" "$MEMGUARDD" "$MEMGUARDCTL" "$HOOK"'

#
# Row 39: namespaces.
#

# Of pids: the kernel tells the daemon its own number for it.
if [ "$(id -u)" = 0 ] && unshare --fork --pid true 2>/dev/null; then
	start nested unshare --fork --pid --kill-child "$scratch/corner" retain
	said ready nested
	inner=$(pgrep -P "$program")
	claim "row 39: a process in a pid namespace is known by its number outside" wait_for 60 is_member "$inner"
	claim "row 39: and asked" trims "$inner"
	claim "row 39: and ends as it would" ends 0
else
	echo "ok - row 39: a process in a pid namespace # SKIP needs root and namespaces"
fi
# Of users: root outside is nobody inside, whom the hook does not obey.
if [ "$(id -u)" = 0 ] && setpriv --reuid=54321 --regid=54321 --clear-groups unshare -U -r true 2>/dev/null; then
	chmod 755 "$scratch"
	cp "$HOOK" "$scratch/libmemguard-hook.so"
	hook_before=$HOOK
	HOOK=$scratch/libmemguard-hook.so
	start foreign setpriv --reuid=54321 --regid=54321 --clear-groups unshare -U -r "$scratch/corner" retain
	HOOK=$hook_before
	said ready foreign
	# It has been there, and went away without a word.
	claim "row 39: in a user namespace without the daemon's root it says nothing" wait_for 60 logged \
		"Process $program .*(hung up|ended)"
	claim "row 39: and is no member" is_no_member "$program"
	claim "row 39: the program ends as it would" ends 0
	# Outside it is somebody else again: what both are called there is no name.
	HOOK=$scratch/libmemguard-hook.so
	start nobody setpriv --reuid=54321 --regid=54321 --clear-groups unshare -U --map-user=65534 \
		"$scratch/corner" retain
	HOOK=$hook_before
	said ready nobody
	claim "row 39: nor where it is nobody, as which it sees the daemon's root" wait_for 60 logged \
		"Process $program .*(hung up|ended)"
	claim "row 39: nor is that a member" is_no_member "$program"
	claim "row 39: and ends as it would too" ends 0
else
	echo "ok - row 39: a process in a user namespace # SKIP needs root and namespaces"
fi
# A process that the daemon's pid namespace has no number for.
if [ "$(id -u)" = 0 ] && unshare --fork --pid true 2>/dev/null; then
	outer=$runtime
	runtime=$scratch/inner
	unshare --fork --pid --kill-child "$MEMGUARDD" --log-level=debug --runtime-directory="$runtime" \
		--config=/dev/null 2>"$scratch/inner.log" &
	inner=$!
	wait_for 20 test -S "$runtime/bus"
	start outside "$scratch/corner" retain
	said ready outside
	claim "row 39: a process without a number in the daemon's pid namespace is turned away" wait_for 60 \
		grep -qE "Closed .*/hook.sock .*outside of this daemon.s pid namespace.*not guarded; run memguardd" \
		"$scratch/inner.log"
	claim "row 39: and ends as it would as well" ends 0
	claim "row 39: and was no member" eval '! grep -q joined "$scratch/inner.log"'
	# It ignores what asks it to end, and its child goes with it.
	kill -KILL "$inner"
	wait "$inner" 2>/dev/null || true
	runtime=$outer
else
	echo "ok - row 39: a process outside of the daemon's pid namespace # SKIP needs root and namespaces"
fi
#
# Row 53: who may not reach the socket does not try again, since each try may be logged.
#

has_no_agent()
{
	! grep -qx memguard "/proc/$1/task/"*/comm
}

mkdir -m 0 "$scratch/closed"
outer=$runtime
hook_before=$HOOK
as_other=()
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$scratch"
	cp "$HOOK" "$scratch/libmemguard-hook.so"
	HOOK=$scratch/libmemguard-hook.so
	as_other=(setpriv --reuid=54321 --regid=54321 --clear-groups)
fi
# What has no socket yet is another matter.
runtime=$scratch/none
mkdir "$runtime"
start early "${as_other[@]}" "$scratch/corner" retain
said ready early
early=$program
exec 8>&9
runtime=$scratch/closed
start shut "${as_other[@]}" "$scratch/corner" retain
said ready shut
HOOK=$hook_before
runtime=$outer
claim "row 53: where the socket may not be reached the agent leaves" wait_for 60 has_no_agent "$program"
claim "row 53: and the program ends as it would" ends 0
claim "row 53: where there is none yet it waits" grep -qx memguard "/proc/$early/task/"*/comm
program=$early
exec 8>&-
claim "row 53: and ends as it would" ends 0

# A program that has no /proc: nothing tells what it may do, so there is no agent.
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	start unseen unshare -m sh -c 'mount -t tmpfs none /proc && exec "$1" retain' sh "$scratch/corner"
	said ready unseen
	claim "row 53: where /proc cannot be read there is no agent" has_no_agent "$program"
	claim "row 53: and the program ends as it does" ends 0
fi
finish
