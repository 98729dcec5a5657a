#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What memory.sh runs in the test VM: memguard.service as it is installed, beside members
# (fake-hook, a process each) in control groups of their own. Prints a line "row: MEMBERS |
# GROUPS | ..." of KiB for each shape, and "part: MEMBERS | GROUPS | NAME | ..." for what of it
# is whose: a file's, the heap's, or no name's.
# timeout: 2400

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra fake-hook shapes

TOP=/sys/fs/cgroup/memguard-bench
PIDS=()

# What is looked at ever more rarely when nothing changes has its memory by then.
SETTLE_SEC=30

n_members()
{
	memguardctl --json=short status | grep -oE '"n_members":[0-9]+' | cut -d: -f2
}

has_all()
{
	[[ $(n_members) == "$1" ]]
}

# start_members N GROUPS - the groups beyond the members' are empty.
start_members()
{
	local i

	mkdir $TOP
	echo +memory >$TOP/cgroup.subtree_control
	for ((i = 0; i < $2; i++)); do
		echo "$TOP/g$i"
	done | xargs mkdir
	for ((i = 0; i < $1; i++)); do
		(
			echo 0 >"$TOP/g$((i % $2))/cgroup.procs"
			exec "$EXTRA/fake-hook" /run/memguard/hook.sock good 0 </dev/null >/dev/null
		) &
		PIDS+=($!)
	done
}

# They end with their connections too.
end_members()
{
	kill "${PIDS[@]}" 2>/dev/null || true
	wait "${PIDS[@]}" 2>/dev/null || true
	PIDS=()
	find $TOP -depth -type d -exec rmdir {} +
}

# mappings PID - the KiB that are its own, by file, or "[heap]" and the like, or "-": clean, and
# written to.
mappings()
{
	awk '
		/^[0-9a-f]+-[0-9a-f]+ / { name = $6 != "" ? $6 : "-" }
		$1 == "Private_Clean:" { clean[name] += $2; seen[name] }
		$1 == "Private_Dirty:" { dirty[name] += $2 }
		END { for (name in seen) print name, clean[name], dirty[name] }' "/proc/$1/smaps"
}

# of_rollup PID KEY - KiB
of_rollup()
{
	awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/smaps_rollup"
}

# row MEMBERS GROUPS
row()
{
	local pid own charged

	pid=$(unit_show memguard.service MainPID)
	charged=$(($(cat "$(unit_cgroup memguard.service)/memory.current") / 1024))
	own=$(mappings "$pid")
	awk -v shape="$1 | $2" '$2 + $3 > 0 {
		print "part: " shape " | " $1 " | " $2 " | " $3 }' <<<"$own"
	awk -v shape="$1 | $2" -v rss="$(of_rollup "$pid" Rss)" -v charged="$charged" '
		$1 !~ /^\// { anonymous += $2 + $3; next }
		{ clean += $2; written += $3 }
		END { print "row: " shape " | " clean + written + anonymous " | " clean " | " written \
			" | " anonymous " | " rss " | " charged }' <<<"$own" | tee /dev/console
	echo "rollup: $(of_rollup "$pid" Private_Clean) clean, $(of_rollup "$pid" Private_Dirty) dirty"
}

measure()
{
	systemctl restart memguard.socket memguard-control.socket memguard.service
	start_members "$1" "$2"
	wait_for 600 has_all "$1"
	sleep $SETTLE_SEC
	assert has_all "$1"
	row "$1" "$2"
	systemctl stop memguard.service memguard.socket memguard-control.socket
	end_members
}

testcase_1_rows()
{
	local members groups

	# For the record: whose libraries it shares.
	ps --ppid 2 --pid 2 --deselect -o pid,rss,args
	while IFS=: read -r members groups; do
		measure "$members" "$groups"
	done <"$EXTRA/shapes"
}

run_testcases
