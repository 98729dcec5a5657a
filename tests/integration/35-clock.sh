#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The clock is set, forth and back, and the machine suspended: what is due stays due, ages are
# what they were, and only what names a date follows.

. "$(dirname "$0")/lib.sh"

[ -z "${SANITIZED:-}" ] || skip "nothing is preloaded before a sanitizer"
"${CC:-cc}" -O1 -shared -fPIC -o "$scratch/shift.so" "$(dirname "$0")/clock-shift.c" \
	-D_GNU_SOURCE || skip "no compiler here"
export CLOCK_SHIFT=$scratch/shift
day=86400

# shift_clock REALTIME BOOTTIME : in one step, since it is read all the time.
shift_clock()
{
	echo "$1 $2" >"$CLOCK_SHIFT.new"
	mv "$CLOCK_SHIFT.new" "$CLOCK_SHIFT"
}

# The commands have the same clock.
shifted_ctl()
{
	LD_PRELOAD=$scratch/shift.so ctl "$@"
}

number()
{
	shifted_ctl --json=short "$1" | sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"
}

shift_clock 0 0
apart
configure '[Trigger]\nRetainedHigh=16M\n[Trim]\nCooldownSec=1s\n'
LD_PRELOAD=$scratch/shift.so "$MEMGUARDD" --log-level=debug --runtime-directory="$runtime" \
	--config="$scratch/memguard.conf" 2>>"$scratch/daemon.log" &
started+=($!)
wait_for 20 test -S "$runtime/bus"
start=$(number status start_realtime_usec)

# join MIB : a process that is asked for that once all is calm.
join()
{
	(
		enter
		exec "$shims/fake-hook" "$runtime/hook.sock" good "$1" >"$scratch/good-$1"
	) &
	started+=($!)
	wait_for 20 grep -q 'asked stats' "$scratch/good-$1"
}

for shift in $((10 * day)) $((-10 * day)); do
	mib=$((shift > 0 ? 64 : 65))
	join $mib
	shift_clock $shift 0
	claim "the clock was set by $shift s: it runs for less than an hour" \
		eval '[ "$(number status uptime_usec)" -lt 3600000000 ]'
	claim "and says so" eval 'shifted_ctl status | has -E "running for [0-9]+(s|min),"'
	claim "and when its settings were loaded" \
		eval 'shifted_ctl status | has -E "loaded [0-9]+(s|min) ago"'
	claim "its start stays what it was" eval '[ "$(number status start_realtime_usec)" = "$start" ]'
	claim "a process is asked when that is due" wait_for 60 grep -q 'asked reclaim' "$scratch/good-$mib"
	claim "which was just now" wait_for 20 eval 'shifted_ctl status | has -E "released .* [0-9]+s ago"'
	claim "and explained" eval 'shifted_ctl explain | has -E "round [0-9]+, [0-9]+s ago"'
done
claim "what is recorded follows the clock" eval '[ "$(shifted_ctl history | grep -c .)" -gt 1 ] &&
	[ "$(number history ended_realtime_usec)" -lt "$start" ]'

shift_clock 0 7200
join 66
claim "after two hours suspended it runs for two hours" \
	eval '[ "$(number status uptime_usec)" -ge 7200000000 ]'
claim "and works" wait_for 60 grep -q 'asked reclaim' "$scratch/good-66"
finish
