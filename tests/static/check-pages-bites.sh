#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-pages.sh can fail, on copies of what it looks at.
# Usage: check-pages-bites.sh DIR DUMP-OPTIONS

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
dump=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/pages" "$scratch/tree/man"
cp "$1"/*.[1578] "$scratch/pages"
cp "$here/../../man/memguard.conf.5.scd" "$scratch/tree/man"
chmod -R u+w "$scratch"
bad=0

# After the edit @2 of the file @1 the check must fail, and say @3.
refused()
{
	cp "$scratch/$1" "$scratch/kept"
	sed -i "$2" "$scratch/$1"
	if "$here/check-pages.sh" "$scratch/pages" "$dump" "$scratch/tree" >"$scratch/out" 2>&1; then
		echo "not ok - $1: \"$2\" is not found"
		bad=1
	elif ! grep '^not ok' "$scratch/out" | grep -qF -e "$3"; then
		echo "not ok - $1: \"$2\" is found, but not as \"$3\":"
		sed 's/^/# /' "$scratch/out"
		bad=1
	else
		echo "ok - $1: $2"
	fi
	cp "$scratch/kept" "$scratch/$1"
}

if "$here/check-pages.sh" "$scratch/pages" "$dump" "$scratch/tree" >"$scratch/out" 2>&1; then
	echo "ok - the pages as they are pass"
else
	echo "not ok - the pages as they are fail:"
	sed 's/^/# /' "$scratch/out"
	exit 1
fi

refused pages/memguard.8 '/^\.nh$/d' 'memguard.8 may split'
if command -v man >/dev/null; then
	refused pages/memguardctl.1 's/^\.SH DESCRIPTION$/.hy 1\n&/' 'memguardctl.1 splits'
fi
refused tree/man/memguard.conf.5.scd 's/^UsageHigh=70%$/UsageHigh=170%/' 'does not take an example'
refused tree/man/memguard.conf.5.scd '/^```$/d' 'only'

exit "$bad"
