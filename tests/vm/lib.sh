# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Owns the helpers for testcases in the test VM. A testcase sources it first:
#
#	. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
#
# then says with skip or need_* what it cannot do without, defines functions named
# testcase_*, and ends with run_testcases. Units started with unit_start are stopped at
# the end, whatever the outcome.

set -Eeuo pipefail

# shellcheck disable=SC2034 # for testcases
EXTRA=$PAYLOAD/extra
UNITS=$(mktemp)
CURSOR=$(journalctl --lines=0 --show-cursor --quiet | sed -n 's/^-- cursor: //p')

trap 'on_error $? "${BASH_SOURCE[0]##*/}:$LINENO" "$BASH_COMMAND"' ERR
trap stop_units EXIT

# Names the place; with errexit alone a testcase would end without a word. It can only
# say so once, in the innermost shell, where the command still is the one that failed.
on_error()
{
	if [[ ! -e $UNITS.failed ]]; then
		: >"$UNITS.failed"
		echo "$2: status $1 from: $3" >&2
	fi
}

stop_units()
{
	local status=$? unit

	while read -r unit; do
		systemctl stop "$unit" 2>/dev/null || true
	done <"$UNITS"
	rm -f "$UNITS" "$UNITS.failed"
	# The next one may have begun: what is its own is left to it.
	((status == 0 || status == 77)) || drop_settings
}

# What a testcase that failed has not taken away, so that the next one does not fail of it.
drop_settings()
{
	local left=(/etc/memguard/memguard.conf.d/*.conf /run/systemd/system/memguard.service.d) file

	for file in "${left[@]}"; do
		[[ -e $file ]] || continue
		echo "left behind: $file"
		rm -r "$file"
		systemctl daemon-reload || true
		systemctl try-restart memguard.service || true
	done
}

# fail MESSAGE... - ends the testcase with the place of the caller.
fail()
{
	local depth=1

	# The helper that calls fail is of no interest, the line in the testcase is.
	while [[ ${BASH_SOURCE[depth]-} == "${BASH_SOURCE[0]}" ]]; do
		depth=$((depth + 1))
	done
	: >"$UNITS.failed"
	echo "${BASH_SOURCE[depth]##*/}:${BASH_LINENO[depth - 1]}: $*" >&2
	exit 1
}

# skip REASON... - outside of a testcase_* function ends the whole file as skipped.
skip()
{
	echo "skipped: $*"
	echo "$*" >"$TEST_RESULTS/$TEST_NAME.skip"
	exit 77
}

# need_memguard - skips without a stage; with one, a missing program is a failure.
need_memguard()
{
	local program

	[[ -f $PAYLOAD/stage.tar ]] || skip "run.sh was given no --stage"
	for program in memguardd memguardctl; do
		command -v "$program" >/dev/null || fail "the stage has no $program in PATH"
	done
}

# need_extra FILE... - skips when a test program was not passed with --extra.
need_extra()
{
	local file

	for file; do
		[[ -e $EXTRA/$file ]] || skip "no $file in the directory given with --extra"
	done
}

# assert COMMAND... - the command must succeed.
assert()
{
	"$@" || fail "expected to succeed, but failed (status $?): $*"
}

# assert_not COMMAND... - the command must fail.
assert_not()
{
	if "$@"; then
		fail "expected to fail, but succeeded: $*"
	fi
}

# assert_eq WHAT ACTUAL EXPECTED
assert_eq()
{
	[[ $2 == "$3" ]] || fail "$1: expected '$3', got '$2'"
}

# assert_in TEXT HAYSTACK
assert_in()
{
	[[ $2 == *"$1"* ]] || fail "no '$1' in: $2"
}

# assert_refused TEXT COMMAND... - the command must fail, and say so.
assert_refused()
{
	local text=$1 said status=0

	shift
	said=$("$@" 2>&1) || status=$?
	((status != 0)) || fail "expected to fail, but succeeded: $*"
	assert_in "$text" "$said"
}

# wait_for SECONDS COMMAND... - polls until the command succeeds, fails at the limit.
# Give a limit that only a fault can reach: the VM may run fifty times slower than you do.
wait_for()
{
	local limit=$1 end=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < end)) || fail "waited $limit s in vain for: $*"
		sleep 0.2
	done
}

# journal [OPTION...] - the messages since this testcase began.
journal()
{
	journalctl --sync
	journalctl --quiet --no-pager --output=cat --after-cursor="$CURSOR" "$@"
}

# journal_has REGEX [OPTION...] - options as for journalctl, such as --unit=NAME.
journal_has()
{
	local regex=$1

	shift
	# Not a pipe: grep -q leaves early and pipefail would call that a failure.
	grep -qE -e "$regex" <<<"$(journal "$@")"
}

# unit_start NAME [SYSTEMD-RUN-OPTION...] -- COMMAND... - a transient service, started.
unit_start()
{
	local unit=$1 options=()

	shift
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	echo "$unit" >>"$UNITS"
	systemd-run --quiet --unit="$unit" --service-type=exec "${options[@]}" -- "$@"
}

# unit_show UNIT PROPERTY
unit_show()
{
	systemctl show --value --property="$2" "$1"
}

# unit_is UNIT STATE - active, failed, inactive, ...
unit_is()
{
	[[ $(unit_show "$1" ActiveState) == "$2" ]]
}

# unit_cgroup UNIT - its directory; it is gone when the unit is.
unit_cgroup()
{
	echo "/sys/fs/cgroup$(unit_show "$1" ControlGroup)"
}

# cgroup_key DIRECTORY FILE KEY - one value of a flat keyed file, such as memory.events.
cgroup_key()
{
	awk -v key="$3" '$1 == key { print $2 }' "$1/$2"
}

# members [UNIT] - the pids of its, or all, guarded processes, one a line.
members()
{
	memguardctl --json=short list ${1:+"$1"} 2>/dev/null | grep -oE '"pid":[0-9]+' | cut -d: -f2 || true
}

# has_members UNIT [PID] - the daemon knows one of the unit, or that one.
has_members()
{
	grep -qxE "${2:-[0-9]+}" <<<"$(members "$1")"
}

# releases COMMAND... - a trim of memguardctl, as root or somebody else, after which a process
# had 10 MiB less. Its group may still be charged for them: of a huge page that is free in
# parts the kernel takes those back when it is short of memory.
releases()
{
	local said before after

	said=$("$@" --json=short) || return 1
	before=$(grep -oE '"rss_before_bytes":[0-9]+' <<<"$said" | cut -d: -f2)
	after=$(grep -oE '"rss_after_bytes":[0-9]+' <<<"$said" | cut -d: -f2)
	((before - after > 10485760)) || { echo "$said"; return 1; }
}

# subject_command [MIB] - for ExecStart=: a program of two threads that retains so much, and
# stays. It reads from a pipe that nobody writes to.
subject_command()
{
	[[ -p /run/subject ]] || mkfifo /run/subject
	echo "/bin/sh -c 'exec $EXTRA/retainer ${1:-40} 2 <>/run/subject'"
}

# write_service UNIT LINE... - a service of these lines in [Service], known to systemd.
write_service()
{
	local unit=$1

	shift
	echo "$unit" >>"$UNITS"
	printf '%s\n' '[Service]' "$@" >"/run/systemd/system/$unit"
	systemctl daemon-reload
}

# run_testcases - every testcase_* function, in order of their names, each in a subshell.
# Stops at the first failure. Skipped only if every one was.
run_testcases()
{
	local name status skipped=0 total=0

	while read -r name; do
		echo "---- $name"
		total=$((total + 1))
		status=0
		# In the background, because bash ignores errexit left of a ||.
		"$name" &
		wait $! || status=$?
		case $status in
		0) ;;
		77) skipped=$((skipped + 1)) ;;
		*) exit "$status" ;;
		esac
	done < <(compgen -A function testcase_)
	((total > 0)) || fail "no testcase_* function is defined"
	if ((skipped == total)); then
		exit 77
	fi
}
