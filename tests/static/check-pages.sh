#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The pages as man(1) shows them: no word is split at the end of a line, since names and paths
# are looked for and copied; and every file that memguard.conf(5) shows as an example is one
# that memguardd takes.
#
#	check-pages.sh DIR DUMP-OPTIONS [TREE]		DIR: where the pages were built

set -eu
# man(1) writes a hyphen that nobody typed as U+2010.
export LC_ALL=C.UTF-8 MANWIDTH=80

if [ $# -lt 2 ]; then
	echo "Usage: $0 DIR DUMP-OPTIONS [TREE]" >&2
	exit 2
fi

pages=$1
dump=$2
tree=${3:-$(dirname "$0")/../..}
settings=$tree/man/memguard.conf.5.scd
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

for file in memguard.8 memguardctl.1 memguard.conf.5 memguard-hook.7; do
	if ! [ -r "$pages/$file" ]; then
		echo "not ok - there is no $file in \"$pages\""
		exit 1
	fi
	# After .TH, which begins with the reader's own way of splitting words.
	if ! grep -A1 '^\.TH ' "$pages/$file" | grep -qx '\.nh'; then
		echo "not ok - $file may split words at the end of a line"
		bad=1
	elif command -v man >/dev/null && man -l "$pages/$file" 2>/dev/null | grep '‐$' >"$scratch/split"; then
		echo "not ok - $file splits words at the end of a line:"
		sed 's/^/# /' "$scratch/split"
		bad=1
	else
		echo "ok - $file splits no words"
	fi
done

if ! [ -x "$dump" ]; then
	echo "not ok - \"$dump\" cannot be run: build tests/static/dump-options first"
	exit 1
fi
awk -v base="$scratch/example" '
	/^```/ { inside = !inside; n += inside; next }
	inside { print >(base n ".conf") }' "$settings"
n=0
for file in "$scratch"/example*.conf; do
	grep -qs '^\[' "$file" || continue
	n=$((n + 1))
	if grep -q '^\[X-Memguard\]' "$file"; then
		mkdir -p "$scratch/report.service.d"
		mv "$file" "$scratch/report.service.d"
		file=$scratch/report.service.d/${file##*/}
	fi
	if ! "$dump" "$file" >/dev/null 2>"$scratch/errors"; then
		echo "not ok - memguardd does not take an example of memguard.conf(5):"
		sed 's/^/# /' "$scratch/errors" "$file"
		bad=1
	fi
done
if [ "$n" -lt 4 ]; then
	echo "not ok - found only $n examples in $settings: has it changed its form?"
	bad=1
fi
[ "$bad" -ne 0 ] || echo "ok - memguardd takes the $n files that are examples in memguard.conf(5)"

exit $bad
