#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Kernel files that are missing, empty, huge or nonsense: named once with their group, nothing
# is decided from them, and all goes on when they are whole again.

. "$(dirname "$0")/lib.sh"

own=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ { print $3 }' /proc/self/cgroup)
[ -n "$own" ] || skip "not in a cgroup v1 memory hierarchy"
tree=$scratch/tree
files=$tree${own%/}
mkdir -p "$files"

# heal : a group at half of its limit.
heal()
{
	local directory

	for directory in "$tree" "$files"; do
		echo 314572800 >"$directory/memory.usage_in_bytes"
		printf 'total_active_file 0\ntotal_inactive_file 0\nhierarchical_memory_limit 629145600\nnews 1\n' \
			>"$directory/memory.stat"
		echo 0 >"$directory/memory.failcnt"
		printf 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n' >"$directory/memory.oom_control"
	done
}

explains()
{
	ctl --json=short explain "$retainer" | jq -e "$1" >/dev/null
}

n_logged()
{
	[ "$(grep -cE -e "$1" "$scratch/daemon.log")" = "$2" ]
}

heal
rm "$files/memory.usage_in_bytes"
start_daemon '[Trigger]\nRetainedHigh=0\n[Trim]\nCooldownSec=1s\n' --cgroup-root="$tree"
start_retainer 64
claim "a group whose files are not there is watched by RSS" wait_for 20 explains '.[0].kind == "rss"'
heal
claim "until they are" wait_for 30 explains '.[0].usage_bytes == 314572800 and .[0].kind == "cgroup-v1"'
claim "a tree of plain files is read, an unknown line too" \
	wait_for 20 explains '.[0].usage_bytes == 314572800'

printf 'total_active_file many\n' >"$files/memory.stat"
claim "nonsense is named with file and group" \
	wait_for 20 logged 'Cannot read "memory.stat" of cgroup ".*": Invalid argument; nothing is done'
claim "the last good figures stay" explains '.[0].usage_bytes == 314572800'
echo 629145600 >"$files/memory.usage_in_bytes"
heal
claim "a whole file is read again" wait_for 20 logged '"memory.stat" of cgroup ".*" can be read again'
claim "and all was told once" n_logged 'Cannot read "memory.stat"' 1
claim "nobody was asked for it" explains '.[0].rounds == 0'

: >"$files/memory.usage_in_bytes"
claim "so is an empty one" wait_for 20 logged 'Cannot read "memory.usage_in_bytes"'
heal
head -c 100000 /dev/zero | tr '\0' 9 >"$files/memory.failcnt"
claim "a huge one that is not needed is done without" \
	wait_for 20 logged 'Cannot make sense of "memory.failcnt" of cgroup ".*"; going on without it'
echo 600000000 >"$files/memory.usage_in_bytes"
claim "the group is judged all the same" wait_for 20 explains '.[0].rounds > 0'
claim "and the program gives back" wait_for 20 rss_is_below "$retainer" 32
heal
rm "$files/memory.oom_control" "$files/memory.failcnt"
claim "files that are missing are nothing to speak of" wait_for 20 explains '.[0].usage_bytes == 314572800'
exec 9>&-
finish
