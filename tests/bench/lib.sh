# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Owns the helpers of benchmarks and service scripts: cgroups on v1 and v2, readings,
# waiting with a limit, and the processes started here. A script that starts something
# calls cleanup_at_exit first; what is ended then is what is in these lists, nothing else.

declare -A OWN_PROCESSES=()
OWN_CGROUPS=()
OWN_DIRECTORIES=()

fail()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

usage()
{
	echo "$*" >&2
	exit 2
}

cleanup_at_exit()
{
	trap cleanup EXIT
	# Without these, EXIT would not run when the shell dies of a signal.
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

cleanup()
{
	local pid group directory

	# The output goes nowhere useful any more, and half of it may be gone already.
	set +e
	for pid in "${!OWN_PROCESSES[@]}"; do
		end_process "$pid"
	done
	for group in "${OWN_CGROUPS[@]}"; do
		cgroup_remove "$group"
	done
	for directory in "${OWN_DIRECTORIES[@]}"; do
		rm -rf -- "$directory"
	done
}

# make_directory VARIABLE - a temporary directory that goes away with the script.
make_directory()
{
	local made

	made=$(mktemp -d "${TMPDIR:-/tmp}/memguard-bench.XXXXXX")
	chmod 755 "$made"
	OWN_DIRECTORIES+=("$made")
	printf -v "$1" '%s' "$made"
}

# run_in_vm NAME BUILD DIR [OPTION...] - NAME-in-vm.sh in the test VM, with what is installed in
# DIR/root, the files in DIR/extra and options of run.sh. Prints its lines "row: ..."; all of
# it goes to BUILD/bench-NAME.log, and the daemon's journal where the machine did not end well.
run_in_vm()
{
	local here log=$2/bench-$1.log results=$3/results
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

	if ! "$here/../vm/run.sh" --stage="$3/root" --extra="$3/extra" --results="$results" \
		--timeout=3000 "${@:4}" "$here/$1-in-vm.sh" >>"$log" 2>&1; then
		grep -s memguardd "$results/journal.log" >>"$log" || true
		fail "the machine did not end well, see $log"
	fi
	cat "$results/$1-in-vm.log" >>"$log"
	sed -n 's/^row: //p' "$results/$1-in-vm.log"
}

# wait_until SECONDS COMMAND... - true as soon as COMMAND is, false after the time.
wait_until()
{
	local tries=$(($1 * 20))

	shift
	while ! "$@"; do
		((tries-- > 0)) || return 1
		sleep 0.05
	done
}

# process_alive PID - a zombie does not count: its parent may not have looked yet.
process_alive()
{
	local state

	state=$(awk '$1 == "State:" { print $2 }' "/proc/$1/status" 2>/dev/null) || return 1
	[[ $state && $state != Z && $state != X ]]
}

process_gone()
{
	! process_alive "$1"
}

# start_time PID - in ticks after boot; with the pid it names one process for good.
start_time()
{
	# The name in parentheses may hold anything, so count from behind it.
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{ print $20 }'
}

# own_process PID - to be ended with the script. No longer a job of the shell, which would
# report its end by the OOM killer in the middle of a table.
own_process()
{
	OWN_PROCESSES[$1]=$(start_time "$1")
	disown "$1" 2>/dev/null || true
}

# end_process PID - one given to own_process. Its pid may be somebody else's by now.
end_process()
{
	local started=${OWN_PROCESSES[$1]-}

	unset "OWN_PROCESSES[$1]"
	if [[ -z $started || $(start_time "$1") != "$started" ]]; then
		return 0
	fi
	kill "$1" 2>/dev/null || true
	if ! wait_until 5 process_gone "$1"; then
		kill -KILL "$1" 2>/dev/null || true
		wait_until 5 process_gone "$1" || echo "${0##*/}: $1: does not end" >&2
	fi
}

rss_mib()
{
	awk '$1 == "VmRSS:" { print int($2 / 1024) }' "/proc/$1/status"
}

# private_kib PID - dirty, then clean, on two lines.
private_kib()
{
	awk '/^Private_(Clean|Dirty):/ { sum[$1] = $2 }
		END { print sum["Private_Dirty:"] + 0; print sum["Private_Clean:"] + 0 }' \
		"/proc/$1/smaps_rollup"
}

# cgroup_version - 1 or 2, whichever has the memory controller; false when neither has.
cgroup_version()
{
	if [[ -e /sys/fs/cgroup/memory/memory.limit_in_bytes || \
		-e /sys/fs/cgroup/memory/memory.usage_in_bytes ]]; then
		echo 1
	elif grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
		echo 2
	else
		return 1
	fi
}

# cgroup_create VARIABLE NAME [LIMIT_MIB] - without a limit the group only counts.
cgroup_create()
{
	local version parent=/sys/fs/cgroup path

	version=$(cgroup_version) || fail "no memory controller in /sys/fs/cgroup"
	if ((version == 1)); then
		parent+=/memory
	elif ! grep -qw memory $parent/cgroup.subtree_control; then
		echo +memory >$parent/cgroup.subtree_control
	fi
	path=$parent/memguard-bench-$$-$2
	mkdir "$path" 2>/dev/null || fail "$path: cannot create it (are you root?)"
	OWN_CGROUPS+=("$path")
	printf -v "$1" '%s' "$path"
	if [[ ${3-} ]]; then
		cgroup_limit "$path" "$3"
	fi
}

cgroup_limit()
{
	if [[ -e $1/memory.max ]]; then
		echo $(($2 << 20)) >"$1/memory.max"
		# With swap the limit would not kill but swap, and tell another story.
		if [[ -e $1/memory.swap.max ]]; then
			echo 0 >"$1/memory.swap.max"
		fi
	else
		echo $(($2 << 20)) >"$1/memory.limit_in_bytes"
		if [[ -e $1/memory.memsw.limit_in_bytes ]]; then
			echo $(($2 << 20)) >"$1/memory.memsw.limit_in_bytes"
		fi
	fi
}

# cgroup_remove DIR - the kernel refuses while the last process is still on its way out.
cgroup_remove()
{
	local i

	wait_until 5 rmdir "$1" 2>/dev/null || echo "${0##*/}: $1: left behind" >&2
	for i in "${!OWN_CGROUPS[@]}"; do
		if [[ ${OWN_CGROUPS[i]} == "$1" ]]; then
			unset "OWN_CGROUPS[i]"
		fi
	done
}

# cgroup_run DIR COMMAND... - becomes the command: call it in the background.
cgroup_run()
{
	echo "$BASHPID" >"$1/cgroup.procs"
	shift
	exec "$@"
}

cgroup_usage_mib()
{
	local file=$1/memory.current bytes

	[[ -e $file ]] || file=$1/memory.usage_in_bytes
	read -r bytes <"$file"
	echo $((bytes >> 20))
}

cgroup_peak_mib()
{
	local file=$1/memory.peak bytes

	[[ -e $file ]] || file=$1/memory.max_usage_in_bytes
	if [[ ! -e $file ]]; then
		echo null
		return
	fi
	read -r bytes <"$file"
	echo $((bytes >> 20))
}

cgroup_oom_kills()
{
	local file=$1/memory.events

	[[ -e $file ]] || file=$1/memory.oom_control
	awk '$1 == "oom_kill" { n = $2 } END { print n + 0 }' "$file"
}

# median NUMBER... - of an even count the mean of the two in the middle.
median()
{
	printf '%s\n' "$@" | sort -g | awk '
		{ value[NR] = $1 }
		END { print (value[int((NR + 1) / 2)] + value[int((NR + 2) / 2)]) / 2 }'
}
