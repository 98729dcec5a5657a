# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# For tests with a daemon: a scratch directory, memguardd in it, programs under the hook.
# Sourced; ends what it started, by pid. Needs HOOK, MEMGUARDD, MEMGUARDCTL, top_builddir.

set -euo pipefail

: "${HOOK:?}" "${MEMGUARDD:?}" "${MEMGUARDCTL:?}" "${top_builddir:?}"
scratch=$(mktemp -d)
runtime=$scratch/run
shims=$top_builddir/tests/shim
started=()
n_failed=0

# Whom the programs started may be on their way out still.
remove_group()
{
	rmdir "$group"/*/ 2>/dev/null || true
	rmdir "$group" 2>/dev/null || ! [ -e "$group" ]
}

# Whoever does not go is a fault of the test or of the program, and no reason to wait for ever.
cleanup()
{
	local pid status=$?

	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in "${started[@]}"; do
		if ! wait_for 30 eval '! kill -0 "$pid" 2>/dev/null' >/dev/null; then
			echo "not ok - process $pid ($(cat "/proc/$pid/comm")) ends when it is told to"
			kill -9 "$pid"
			status=1
		fi
		wait "$pid" 2>/dev/null || true
	done
	if [ -n "${group:-}" ]; then
		wait_for 10 remove_group >/dev/null || true
	fi
	rm -rf "$scratch"
	exit "$status"
}
trap cleanup EXIT

skip()
{
	echo "skip - $*"
	exit 77
}

# has GREP-OPTION... REGEX : reads to the end, where grep -q in a pipe would leave early: the
# other end is then now and then ended by SIGPIPE, which pipefail calls a failure.
has()
{
	# shellcheck disable=SC2143
	[ -n "$(grep "$@")" ]
}

# claim TEXT COMMAND... : one line of result; goes on after a failure.
claim()
{
	local text=$1

	shift
	if "$@" >"$scratch/claim" 2>&1; then
		echo "ok - $text"
	else
		echo "not ok - $text"
		sed 's/^/#   /' "$scratch/claim"
		n_failed=$((n_failed + 1))
	fi
}

finish()
{
	if [ $n_failed -gt 0 ] && [ -e "$scratch/daemon.log" ]; then
		echo "# the daemon's log:"
		sed 's/^/#   /' "$scratch/daemon.log"
	fi
	exit $((n_failed > 0))
}

# wait_for SECONDS COMMAND... : an event, with a limit that only a fault reaches: four times what is enough
# on a machine with other things to do, since it may be one that does ten of them.
wait_for()
{
	local end=$((SECONDS + 4 * $1))

	shift
	until "$@"; do
		if [ $SECONDS -ge $end ]; then
			echo "waited in vain for: $*"
			return 1
		fi
		sleep 0.05
	done
}

# configure TEXT : what the daemon is to read. That this machine stalls on memory beside the test, or
# a group of another test in the one that all are started in, is no reason for a round of it, unless it
# speaks of that.
configure()
{
	local key

	printf '%b' "$1" >"$scratch/memguard.conf"
	grep -qxF '[Trigger]' "$scratch/memguard.conf" || echo '[Trigger]' >>"$scratch/memguard.conf"
	for key in PressureSome MachinePressureSome; do
		grep -q "^$key=" "$scratch/memguard.conf" ||
			sed -i "s/^\\[Trigger\\]\$/&\\n$key=0/" "$scratch/memguard.conf"
	done
}

# start_daemon [CONFIG-TEXT] [OPTION...]
start_daemon()
{
	configure "${1:-}"
	[ $# -eq 0 ] || shift
	"$MEMGUARDD" --log-level=debug --runtime-directory="$runtime" --config="$scratch/memguard.conf" "$@" \
		2>>"$scratch/daemon.log" &
	daemon=$!
	started+=("$daemon")
	wait_for 20 test -S "$runtime/bus" || {
		cat "$scratch/daemon.log"
		return 1
	}
}

ctl()
{
	"$MEMGUARDCTL" --runtime-directory="$runtime" "$@"
}

# hooked COMMAND... : under the hook; `exec` it in a background job to know its pid.
hooked()
{
	exec env LD_PRELOAD="$HOOK" MEMGUARD_SOCKET="$runtime/hook.sock" "$@"
}

# start_retainer MIB [THREADS] : its pid in $retainer; fd 9 is its standard input. In the cgroup
# $retainer_group, the directory, if that is set. With `hold` it holds them until it reads a line.
start_retainer()
{
	# The last one's words are not its own.
	rm -f "$scratch/in" "$scratch/out"
	mkfifo "$scratch/in"
	(
		enter
		hooked "$shims/retainer" "$@" <"$scratch/in" >"$scratch/out"
	) &
	retainer=$!
	started+=("$retainer")
	exec 9>"$scratch/in"
	wait_for 60 grep -sq "${retains:-retained}" "$scratch/out"
}

# halt PID : stopped, all of it: each thread is told, and stops when it comes to run, which on a busy machine
# may be long after the signal was sent.
halt()
{
	kill -STOP "$1"
	wait_for 60 has_halted "$1"
}

has_halted()
{
	! cat "/proc/$1"/task/*/stat | has -v ' (.*) T '
}

rss_mib()
{
	awk '/^VmRSS:/ { print int($2 / 1024) }' "/proc/$1/status"
}

rss_is_below()
{
	[ "$(rss_mib "$1")" -lt "$2" ]
}

logged()
{
	grep -qE -e "$1" "$scratch/daemon.log"
}

is_member()
{
	ctl --json=short list "$1" >/dev/null 2>&1
}

# is_measured PID MIB-REGEX : it retains so much, as asked now; by itself the daemon looks at a program
# at work the less often the longer that took, and its first look may come in the middle of a burst.
is_measured()
{
	ctl --json=short show "$1" >/dev/null 2>&1 && logged "Process $1 .*retained $2"
}

# trims WHAT : a release on command, once more where who is asked got no CPU time for half a second, which the
# daemon does not wait for, and which on a busy machine happens to any.
trims()
{
	local end=$((SECONDS + 240))

	until ctl trim "$@" >"$scratch/trims" 2>&1; do
		cat "$scratch/trims"
		grep -qE 'takes no CPU time|still at another question' "$scratch/trims" && [ $SECONDS -lt $end ] || return 1
	done
}

# n_starved PID-REGEX : how often one of those was not waited for near a kill, since it got no CPU time for a
# tenth of a second: on a busy machine that happens to any.
n_starved()
{
	grep -cE "Process $1 .*does not answer and takes no CPU time" "$scratch/daemon.log" || true
}

# grows_no_more WHAT : for the daemon, whose limit would else be near in time, however far in bytes.
grows_no_more()
{
	[ "$(ctl --json=short explain "$1" | jq '.[0].growth_bytes_per_sec // 0 | fabs | floor')" -lt 1048576 ]
}

# may_make_group [MIB] : a memory cgroup, with a limit, its directory in $group; says why where it may not.
may_make_group()
{
	local base=/sys/fs/cgroup/memory own directory

	if ! [ -e $base/memory.usage_in_bytes ]; then
		echo "no cgroup v1 memory controller here; the VM test has v2"
		return 1
	fi
	own=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ { print $3 }' /proc/self/cgroup)
	# Not by our number, which may be another one's in another pid namespace.
	directory=$base${own%/}/memguard-test-${scratch: -5}
	if ! mkdir "$directory" 2>/dev/null; then
		echo "may not make a cgroup; run as root"
		return 1
	fi
	group=$directory
	[ $# -eq 0 ] || echo $(($1 << 20)) >"$group/memory.limit_in_bytes"
}

# make_group MIB : skips where it may not.
make_group()
{
	may_make_group "$1" >"$scratch/no-group" || skip "$(cat "$scratch/no-group")"
}

# apart : where it may, what starts from now on is in a group of its own, without a limit: in the one that
# all tests are started in usage may not be steady for as long as any of them runs.
apart()
{
	may_make_group >"$scratch/no-group" || return 0
	retainer_group=$group
}

# enter : the group that retainers are in, if there is one.
enter()
{
	[ -z "${retainer_group:-}" ] || echo 0 >"$retainer_group/cgroup.procs"
}
