#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-options.sh can fail, on a copy of the file and the manual.
# Usage: check-options-bites.sh DUMP-OPTIONS

set -eu
export LC_ALL=C

if [ $# -ne 1 ]; then
	echo "Usage: $0 DUMP-OPTIONS" >&2
	exit 2
fi

dump=$1
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

fresh()
{
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree/etc" "$scratch/tree/man"
	cp "$here/../../etc/memguard.conf" "$scratch/tree/etc"
	cp "$here/../../man/memguard.conf.5.scd" "$scratch/tree/man"
	chmod -R u+w "$scratch/tree"
}

# @1: what is wrong; @2: what must be named; then the checker's arguments.
refused()
{
	what=$1 name=$2
	shift 2
	if "$here/check-options.sh" "$@" >"$scratch/out" 2>&1; then
		echo "not ok - check-options.sh passes $what"
		bad=1
	elif grep -q "^not ok - " "$scratch/out" && grep -qF -- "$name" "$scratch/out"; then
		echo "ok - check-options.sh refuses $what"
	else
		echo "not ok - check-options.sh refuses $what, but does not name $name:"
		sed 's/^/# /' "$scratch/out"
		bad=1
	fi
}

# @1: file; @2: sed script that breaks it; @3: what is wrong; @4: what must be named.
broken()
{
	fresh
	sed "$2" "$scratch/tree/$1" >"$scratch/new"
	if cmp -s "$scratch/new" "$scratch/tree/$1"; then
		echo "not ok - \"$2\" changes nothing in $1"
		bad=1
	fi
	cp "$scratch/new" "$scratch/tree/$1"
	refused "$3" "$4" "$dump" "$scratch/tree"
}

fresh
if ! "$here/check-options.sh" "$dump" "$scratch/tree" >"$scratch/out" 2>&1; then
	echo "not ok - check-options.sh refuses files that agree:"
	sed 's/^/# /' "$scratch/out"
	bad=1
fi

broken etc/memguard.conf '/^#OomEtaSec=/d' "a file without an option" OomEtaSec=10s
broken etc/memguard.conf 's/^#UsageHigh=80%/#UsageHigh=81%/' "another default in the file" UsageHigh=81%
broken etc/memguard.conf 's/^#Mode=trim/&\n#Extra=1/' "one option too many in the file" Extra=1
broken etc/memguard.conf 's/^\[Trim\]/[Trigger]/' "an option in another section of the file" Method=auto
broken etc/memguard.conf 's/^#UsageHigh=70%/#UsageHigh=70/' "an example that is not valid" 'UsageHigh=70 '
broken man/memguard.conf.5.scd 's/^\*CooldownSec=\*$/CooldownSec=/' "a manual without an option" CooldownSec=5s
broken man/memguard.conf.5.scd 's/Default: \*64M\*/Default: *65M*/' "another default in the manual" RetainedHigh=65M
broken man/memguard.conf.5.scd 's/Default: \*auto\*\.//' "a manual without a default" 'Method=(no default is named)'
broken man/memguard.conf.5.scd 's/^\*Mode=\*$/*Extra=*\n\tDefault: empty.\n\n&/' "one option too many in the manual" Extra=

fresh
rm "$scratch/tree/man/memguard.conf.5.scd"
refused "a tree without the manual" memguard.conf.5.scd "$dump" "$scratch/tree"
fresh
refused "a dump program that is not there" "$scratch/none" "$scratch/none" "$scratch/tree"
refused "a dump program that lists nothing" "fewer than" /bin/true "$scratch/tree"

exit "$bad"
