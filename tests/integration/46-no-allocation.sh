#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From the decision to the outcome memguardd allocates nothing, nor until the command of Exec=
# is started and the alert is told: when memory is short there is none to be had, and to wait
# for some is to be late. Without any memory all this happens too, and only signals are lost
# on those who listen. Its memory is locked where it may be.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${SANITIZED:-}" ] || skip "a sanitizer allocates itself"
make_group 256
here=$(dirname "$0")
"${CC:-cc}" -O1 -shared -fPIC -fno-builtin -o "$scratch/count.so" "$here/malloc-count.c" \
	-D_GNU_SOURCE -ldl || skip "no compiler here"

# With all that the crisis takes there is room left: the kernel is to kill nobody.
configure '[Trigger]\nUsageHigh=60%\nUsageCritical=75%\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n[Trim]\nCooldownSec=1s\n[Alert]\nExec=/bin/true\n'

locked_kib()
{
	awk '$1 == "VmLck:" { print $2 }' "/proc/$daemon/status"
}

# begin [VARIABLE=VALUE] : a daemon that counts, with a new log; with JOURNAL it takes that for
# the journal's.
begin()
{
	local variable=${1:-NOTHING=}

	rm -rf "$runtime" "$scratch/daemon.log"
	: >"$scratch/daemon.log"
	[ "$variable" != JOURNAL ] || variable=JOURNAL_STREAM=$(stat -c %d:%i "$scratch/daemon.log")
	env "$variable" LD_PRELOAD="$scratch/count.so" "$MEMGUARDD" --log-level=debug \
		--runtime-directory="$runtime" --config="$scratch/memguard.conf" \
		2>>"$scratch/daemon.log" &
	daemon=$!
	started+=("$daemon")
	wait_for 20 test -S "$runtime/bus"
}

# The crisis: two who give a little, and beside them one who gives nothing back, so that the
# group stays as it is, and is worth an alert.
crisis()
{
	local mib

	crowd=()
	for mib in 6 12; do
		(
			echo "$BASHPID" >"$group/cgroup.procs"
			exec "$shims/fake-hook" "$runtime/hook.sock" good $mib >"$scratch/good-$mib"
		) &
		crowd+=($!)
		wait_for 20 grep -q 'asked stats' "$scratch/good-$mib"
	done
	mkfifo "$scratch/feed"
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$shims/retainer" 215 1 hold
	) <"$scratch/feed" >"$scratch/hog" &
	crowd+=($!)
	exec 7>"$scratch/feed"
	started+=("${crowd[@]}")
	wait_for 60 logged '^counted [0-9]+ allocations until the outcome' &&
		wait_for 60 grep -q 'asked reclaim' "$scratch/good-12" &&
		wait_for 60 logged '^counted [0-9]+ allocations until the command' &&
		wait_for 60 logged '^counted [0-9]+ allocations until the alert'
}

end()
{
	exec 7>&-
	kill "${crowd[@]}" "$daemon" 2>/dev/null || true
	wait "${crowd[@]}" "$daemon" || true
	rm "$scratch/feed"
}

nothing_counted()
{
	! logged '^counted [1-9]' && logged '^counted 0 allocations until the alert'
}

begin
claim "members are asked, a command is started, an alert is told" crisis
claim "nothing was allocated for any of them" nothing_counted
if [ "$(ulimit -l)" = unlimited ] || [ "$(id -u)" = 0 ]; then
	claim "its memory is locked" test "$(locked_kib)" -gt 0
fi
end

# Its standard error is taken for the journal's, which is not there.
if [ ! -e /run/systemd/journal/socket ]; then
	begin JOURNAL
	claim "the same with entries to the journal" crisis
	claim "nothing was allocated for these" nothing_counted
	claim "those that it did not take are counted" eval \
		'ctl --json=short status | has -E "\"journal_entries_lost\":[1-9]"'
	end
fi

begin MALLOC_FAILS=1
python3 "$here/bus-listener.py" "$runtime/bus" >"$scratch/listener" &
started+=($!)
wait_for 20 grep -q ready "$scratch/listener"
claim "the same without any memory, and with a listener" crisis
claim "it was tried for a signal" logged '^counted [1-9]'
claim "which was lost, and is counted" wait_for 20 eval \
	'ctl --json=short status | has -E "\"signals_lost\":[1-9]"'
claim "and said" eval 'ctl status | has -E "Lost: .* [1-9][0-9]* signal"'
claim "those that come when there is memory again arrive" wait_for 60 \
	grep -q RoundFinished "$scratch/listener"
claim "and the daemon is at work" eval 'ctl trim / >/dev/null 2>&1 || ctl list'
end
finish
