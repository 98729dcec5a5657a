#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every message id has a text in etc/memguard.catalog and is named in memguard(8), and the
# catalog has no other. Usage: check-catalog.sh [TREE].

set -eu
export LC_ALL=C

tree=${1:-$(dirname "$0")/../..}
cd "$tree"
bad=0

ids=$(sed -n 's/^#define MESSAGE_[A-Z_]* "\([0-9a-f]\{32\}\)".*/\1/p' agent/report/journal*.h | sort)
texts=$(sed -n 's/^-- \([0-9a-f]\{32\}\)$/\1/p' etc/memguard.catalog | sort)

if [ -z "$ids" ] || [ "$ids" != "$(printf '%s\n' "$ids" | uniq)" ]; then
	echo "not ok - there are no message ids in agent/report, or two are the same"
	exit 1
fi

if [ "$ids" = "$texts" ]; then
	echo "ok - the catalog has a text for each message id, and no other"
else
	echo "not ok - agent/report/journal*.h and etc/memguard.catalog differ:"
	printf '%s\n%s\n' "$ids" "$texts" | sort | uniq -u | sed 's/^/# /'
	bad=1
fi

for id in $ids; do
	if ! grep -q "$id" man/memguard.8.scd; then
		echo "not ok - memguard(8) does not name $id"
		bad=1
	fi
done

exit $bad
