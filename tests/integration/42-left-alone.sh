#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Why a process is not guarded is told to whoever asks for it by its pid. Row 48.

. "$(dirname "$0")/lib.sh"

start_daemon

# told PID WORDS - the message about a process that is no member.
told()
{
	local text

	text=$(ctl trim "$1" 2>&1) || true
	[[ $text == *"$2"* ]]
}

is_mapped()
{
	grep -q libmemguard-hook "/proc/$1/maps"
}

runs()
{
	[ "$(readlink "/proc/$1/exe")" != "$(readlink -f "$BASH")" ]
}

sleep 300 &
started+=($!)
claim "row 48: without the hook" eval 'wait_for 20 runs $! && told $! "started without the hook"'

(hooked sleep 300) &
started+=($!)
claim "row 48: one thread, and not named" eval 'wait_for 20 is_mapped $! && told $! "only one"'

# What libcap looks like, to the loader and in the list of mappings.
if [ "$(id -u)" = 0 ] && echo 'int cap_set_proc(void) { return 0; }' |
	${CC:-cc} -shared -fPIC -o "$scratch/libcap.so.2" -x c - 2>/dev/null; then
	(SYSTEMD_EXEC_PID=$BASHPID HOOK="$HOOK $scratch/libcap.so.2" hooked sleep 300) &
	started+=($!)
	claim "row 48: one thread, named, and able to give up capabilities" eval \
		'wait_for 20 is_mapped $! && told $! "library to give up capabilities"'
fi

printf '#include <unistd.h>\nint main(void) { sleep(300); return 0; }\n' >"$scratch/still.c"
if ${CC:-cc} -static -o "$scratch/still" "$scratch/still.c" 2>/dev/null; then
	"$scratch/still" &
	started+=($!)
	claim "row 48: linked statically" eval 'wait_for 20 runs $! && told $! "statically linked"'
fi
is_exe()
{
	[ "$(readlink "/proc/$1/exe")" = "$2" ]
}

# raises PROGRAM : it runs as nobody, the loader asked for the hook.
raises()
{
	(exec setpriv --reuid=65534 --regid=65534 --clear-groups \
		env LD_PRELOAD="$HOOK" MEMGUARD_SOCKET="$runtime/hook.sock" "$1" 300 2>/dev/null) &
	started+=($!)
	wait_for 20 is_exe $! "$1" && told $! "raised its rights"
}

# keeps PROGRAM : root runs it, who gains nothing by it, and without the hook.
keeps()
{
	"$1" 300 &
	started+=($!)
	wait_for 20 is_exe $! "$1" && told $! "started without the hook"
}

chmod 711 "$scratch"
sleep=$(command -v sleep)
cp "$sleep" "$scratch/set-uid"
cp "$sleep" "$scratch/set-gid"
cp "$sleep" "$scratch/capable"
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
	echo "skip - row 48: what raises its rights: wants root, and setpriv"
elif findmnt -no OPTIONS -T "$scratch" | has nosuid; then
	echo "skip - row 48: what raises its rights: nothing does on this file system"
else
	chmod 4755 "$scratch/set-uid"
	claim "row 48: set-uid" raises "$scratch/set-uid"
	claim "row 48: set-uid, and root's already" keeps "$scratch/set-uid"
	chmod 2755 "$scratch/set-gid"
	claim "row 48: set-gid" raises "$scratch/set-gid"
	chmod 755 "$scratch/capable"
	if setcap cap_net_bind_service+ep "$scratch/capable" 2>/dev/null; then
		claim "row 48: file capabilities" raises "$scratch/capable"
		claim "row 48: file capabilities, and root has them" keeps "$scratch/capable"
	else
		echo "skip - row 48: file capabilities: there is no setcap, or it may not"
	fi
fi

# With threads, so that it is not for their lack.
MEMGUARD=off retains=held start_retainer 1 2 hold
claim "row 48: switched off there" eval 'is_mapped "$retainer" && told "$retainer" "switched off there"'
exec 9>&-
claim "row 48: not there at all" told 999999999 "no such process"
finish
