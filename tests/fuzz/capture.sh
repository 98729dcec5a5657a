#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Copies what the kernel of this machine says to memguard, file by file, into a new directory
# DIR/RELEASE-HIERARCHY: for tests/data/kernels, which the fuzz target starts from and whose every
# text tests/unit/test-kernels.c wants understood. As root; the limit of a cgroup of its own is hit.
#
#	capture.sh DIR

set -euo pipefail

into=${1:?capture.sh DIR}
group=
trap '[ -z "$group" ] || rmdir "$group"' EXIT

# keep FILE NAME : where there is such a file.
keep()
{
	[ ! -r "$1" ] || cat "$1" >"$into/$2" 2>/dev/null || rm -f "$into/$2"
}

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	kind=v2
	root=/sys/fs/cgroup
	files="cgroup.controllers memory.current memory.max memory.high memory.events memory.stat
		memory.pressure memory.swap.current"
	limit=memory.max
else
	kind=v1
	root=/sys/fs/cgroup/memory
	files="memory.usage_in_bytes memory.limit_in_bytes memory.failcnt memory.oom_control
		memory.stat"
	limit=memory.limit_in_bytes
fi

into=$into/$(uname -r | grep -oE '^[0-9]+\.[0-9]+')-$kind
mkdir -p "$into"
group=$root/memguard-capture
mkdir "$group"

for file in $files; do
	keep "$group/$file" "$file.empty"
	keep "$root/$file" "$file.root"
done

# A shell that writes more than may be cached, and then holds memory in use.
echo 64M >"$group/$limit"
bash -c '
	echo $$ >"$1/cgroup.procs"
	head -c 96M /dev/zero >"$2/file"
	text=$(head -c 4M /dev/zero | tr "\0" x)
	for file in $3; do
		[ ! -r "$1/$file" ] || cat "$1/$file" >"$2/$file.limited" || rm -f "$2/$file.limited"
	done
	cat /proc/self/cgroup >"$2/proc-cgroup"
	: "$text"
' - "$group" "$into" "$files"
rm "$into/file"

grep ' - cgroup' /proc/self/mountinfo | grep -m 1 memory >"$into/mountinfo" ||
	grep -m 1 ' - cgroup2' /proc/self/mountinfo >"$into/mountinfo"
keep /proc/pressure/memory pressure-memory
keep /proc/vmstat vmstat
keep /proc/self/stat proc-stat
keep /proc/self/status proc-status
echo "captured $(find "$into" -type f | wc -l) files into $into"
