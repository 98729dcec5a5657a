#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# check-catalog.sh sees a text that is missing, and an id that no page names.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

# try TEXT STATUS
try()
{
	status=0
	"$here/check-catalog.sh" "$scratch" >/dev/null || status=$?
	if [ $status -eq "$2" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1: status $status"
		bad=1
	fi
}

id=0123456789abcdef0123456789abcdef
mkdir -p "$scratch/agent/report" "$scratch/etc" "$scratch/man"
echo "#define MESSAGE_X \"$id\"" >"$scratch/agent/report/journal.h"
echo "-- $id" >"$scratch/etc/memguard.catalog"
echo "$id" >"$scratch/man/memguard.8.scd"
try "what is right passes" 0
: >"$scratch/man/memguard.8.scd"
try "an id that no page names is seen" 1
echo "$id" >"$scratch/man/memguard.8.scd"
: >"$scratch/etc/memguard.catalog"
try "a text that is missing is seen" 1
: >"$scratch/agent/report/journal.h"
try "no ids at all are seen" 1
exit $bad
