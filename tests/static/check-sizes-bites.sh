#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-sizes.sh and check-headers.sh can fail, on a copy of the tree.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
bad=0

mkdir "$tree" "$scratch/empty"
(cd "$here/../.." && find agent libhook -name '*.[ch]' -exec cp --parents {} "$tree" \;)
chmod -R u+w "$tree"

# @1: checker; @2: tree; @3: what is wrong with it; @4: what the checker must name.
refused()
{
	r=0
	"$here/$1" "$2" >"$scratch/out" 2>&1 || r=$?
	case $r in
	0)
		echo "not ok - $1 passes $3"
		bad=1
		;;
	77)
		echo "# $1 skipped itself: $(cat "$scratch/out")"
		;;
	*)
		if grep -q "^not ok - .*$4" "$scratch/out"; then
			echo "ok - $1 refuses $3"
		else
			echo "not ok - $1 refuses $3, but does not name $4:"
			sed 's/^/# /' "$scratch/out"
			bad=1
		fi
		;;
	esac
}

# @1: how many statements.
function_of()
{
	echo 'int too_long(int x);'
	echo 'int too_long(int x)'
	echo '{'
	seq -f '	x += %.0f;' "$1"
	echo '	return x;'
	echo '}'
}

function_of 76 >"$tree/agent/basic/extra.c"
if "$here/check-sizes.sh" "$tree" >"$scratch/out" 2>&1 || [ $? -eq 77 ]; then
	echo "ok - check-sizes.sh passes a function of 80 lines and a tree that keeps to the sizes"
else
	echo "not ok - check-sizes.sh refuses a tree that keeps to the sizes:"
	sed 's/^/# /' "$scratch/out"
	bad=1
fi

# All counts from the line of the name to that of the "}".
function_of 77 >"$tree/agent/basic/extra.c"
refused check-sizes.sh "$tree" "a function of 81 lines" 'too_long()'

function_of 90 | sed 's/^int too_long(int x)$/static inline &/; /;$/!b; /^int/d' >"$tree/agent/basic/extra.h"
rm "$tree/agent/basic/extra.c"
refused check-sizes.sh "$tree" "a function of 94 lines in a header" 'too_long()'
rm "$tree/agent/basic/extra.h"

seq -f '/* %.0f */' 601 >"$tree/agent/basic/extra.c"
refused check-sizes.sh "$tree" "a file of 601 lines" extra.c
rm "$tree/agent/basic/extra.c"

printf '/*%0108d*/\n' 0 >"$tree/agent/basic/extra.c"
refused check-sizes.sh "$tree" "a line of 112 columns" extra.c:1
printf '\t\t\t\t\t\t\t\tx%046d;\n' 0 >"$tree/agent/basic/extra.c"
refused check-sizes.sh "$tree" "a line of 112 columns with tabs" extra.c:1
rm "$tree/agent/basic/extra.c"

refused check-sizes.sh "$scratch/empty" "a tree without sources" 'source tree'

echo 'struct needs { uint64_t more; };' >"$tree/agent/basic/extra.h"
refused check-headers.sh "$tree" "a header that does not include what it uses" extra.h
echo 'struct twice { int x; };' >"$tree/agent/basic/extra.h"
refused check-headers.sh "$tree" "a header without a guard" extra.h
refused check-headers.sh "$scratch/empty" "a tree without headers" 'source tree'

exit "$bad"
