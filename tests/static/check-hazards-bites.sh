#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-hazards.sh can fail, on a copy of the list and the tests.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
bad=0

(cd "$here/../.." && find tests -type f \( -name '*.sh' -o -name '*.c' -o -name '*.h' -o -name '*.py' \) \
	-exec cp --parents {} "$scratch" \; && cp --parents libhook/README.md "$scratch")
mkdir "$tree"
mv "$scratch/tests" "$scratch/libhook" "$tree"
chmod -R u+w "$tree"
cp "$tree/libhook/README.md" "$scratch/list"

# @1: what is wrong; @2: what the checker must say first; @3: a sed command for the list.
refused()
{
	sed "$3" "$scratch/list" >"$tree/libhook/README.md"
	if "$here/check-hazards.sh" "$tree" >"$scratch/out" 2>&1; then
		echo "not ok - it passes $1"
		bad=1
	elif head -n 1 "$scratch/out" | grep -q "^not ok - $2"; then
		echo "ok - it refuses $1"
	else
		echo "not ok - it refuses $1, but not for: $2"
		sed 's/^/# /' "$scratch/out"
		bad=1
	fi
}

if "$here/check-hazards.sh" "$tree" >"$scratch/out" 2>&1; then
	echo "ok - it passes the list as it is"
else
	echo "not ok - it refuses the list as it is:"
	sed 's/^/# /' "$scratch/out"
	bad=1
fi

refused "a row that is not there" "row 33 is missing" '/^| 33 |/d'
refused "a list that ends early" "row 53 is missing: there have to be 53" '/^| 53 |/s/^| 53/| fifty-three/'
refused "a row without a test" "row 6 names no test" '/^| 6 |/s/I\/loader/by eye/'
refused "a row that is not tested yet" "row 24 is not tested" '/^| 24 |/s/|[^|]*|$/| I\/state, but not yet all |/'
refused "a test that is not there" "row 24 names tests/integration/hook-nowhere.sh" \
	'/^| 24 |/s/I\/state/I\/state, I\/nowhere/'
refused "a test that does not name the row" "row 24 names tests/integration/hook-output.sh, which does not" \
	'/^| 24 |/s/I\/state/I\/state, I\/output/'
refused "a row that does not apply for no reason" "row 32 does not say why" '/^| 32 |/s/: no ptrace//'
refused "a promise without a test" "a promise names no test" \
	's/^| \*\*Signals\.\*\*\(.*\)|[^|]*|$/| **Signals.**\1| looked at |/'
refused "a promise with a test that is not there" "a promise names tests/integration/hook-nowhere.sh" \
	's/^| \*\*Signals\.\*\*\(.*\)|[^|]*|$/| **Signals.**\1| I\/nowhere |/'

# A claim in a test that the list does not know.
echo '# row 24: signals' >"$tree/tests/integration/hook-stray.sh"
refused "a test that its row does not name" "tests/integration/hook-stray.sh names row 24" ''
rm "$tree/tests/integration/hook-stray.sh"

mkdir "$scratch/empty"
if "$here/check-hazards.sh" "$scratch/empty" >"$scratch/out" 2>&1; then
	echo "not ok - it passes a tree without a list"
	bad=1
else
	echo "ok - it refuses a tree without a list"
fi

exit "$bad"
