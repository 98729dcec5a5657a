#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The list of hazards in libhook/README.md is complete: each of the 53 rows does not apply,
# and says why, or names tests that are there and name the row. The other way round, a test
# that names a row is in that row. So are the tests of the promises above it there.
# Usage: check-hazards.sh [TREE].

set -eu
export LC_ALL=C

cd "${1:-$(dirname "$0")/../..}"
list=libhook/README.md
rows_max=53
bad=0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail()
{
	echo "not ok - $1"
	bad=1
}

if [ ! -r "$list" ]; then
	fail "$list cannot be read: is this the source tree?"
	exit 1
fi

# "NUMBER<tab>HOW<tab>TESTS" for each row of the hazards, "promise<tab><tab>TESTS" for each
# promise. A cell may have no bar in it.
awk -F ' *[|] *' '
	/^## / { section = $0 }
	section ~ /^## Hazards/ && $2 ~ /^[0-9]+$/ { print $2 "\t" $4 "\t" $5 }
	section == "" && NF >= 4 && $2 !~ /^(promise|-+)$/ { print "promise\t\t" $3 }
' "$list" >"$scratch/rows"

# The files that a cell names: S, I/x, and `path`, below tests/.
files_of()
{
	printf '%s\n' "$1" | tr ',;' '\n\n' | sed -n '
		s/^ *S\( .*\)*$/static\/check-symbols.sh/p
		s/^ *I\/\([a-z-]*\).*/integration\/hook-\1.sh/p
		s/^[^`]*`\([a-z]*\/[A-Za-z0-9.-]*\)`.*/\1/p'
}

# Is row @1 named in tests/@2?
names_row()
{
	grep -qiE "\brow $1\b" "tests/$2"
}

tab=$(printf '\t')
expected=1
: >"$scratch/named"
while IFS="$tab" read -r number how tests; do
	if [ "$number" = promise ]; then
		[ -n "$(files_of "$how$tests")" ] || fail "a promise names no test: \"$how$tests\""
		for file in $(files_of "$how$tests"); do
			[ -r "tests/$file" ] || fail "a promise names tests/$file, which is not there"
		done
		continue
	fi
	[ "$number" -eq "$expected" ] || fail "row $expected is missing, or not in its place: there is row $number"
	expected=$((number + 1))

	case $how in
	*"does not apply: "?*) continue ;;
	*"does not apply"*)
		fail "row $number does not say why it does not apply"
		continue
		;;
	esac
	case $tests in
	*"not tested"* | *"not yet"*) fail "row $number is not tested" ;;
	esac
	files=$(files_of "$tests")
	[ -n "$files" ] || fail "row $number names no test"
	for file in $files; do
		if [ ! -r "tests/$file" ]; then
			fail "row $number names tests/$file, which is not there"
		elif ! names_row "$number" "$file"; then
			fail "row $number names tests/$file, which does not name it"
		fi
		echo "$number $file" >>"$scratch/named"
	done
done <"$scratch/rows"
[ "$expected" -eq $((rows_max + 1)) ] || fail "row $expected is missing: there have to be $rows_max"

# Claims that a reader of the list would not find, as "NUMBER FILE". A program or script that a test
# runs speaks for that test.
find tests -type f \( -name '*.sh' -o -name '*.c' -o -name '*.py' \) ! -path 'tests/static/check-hazards*' \
	! -name 'hook-*.[ch]' ! -name 'hook-*.py' -exec grep -oiHE '\brow [0-9]+\b' {} + |
	sed 's/^tests\/\([^:]*\):[^ ]* \([0-9]*\)$/\2 \1/' | sort -u >"$scratch/claims" || true
grep -vxFf "$scratch/named" "$scratch/claims" |
	sed 's/^\([0-9]*\) \(.*\)$/tests\/\2 names row \1, which does not name it/' >"$scratch/stray" || true
while read -r line; do
	fail "$line"
done <"$scratch/stray"

[ "$bad" -ne 0 ] || echo "ok - $rows_max hazards are met by $(sort -u -k 2 "$scratch/named" | wc -l) tests, or do not apply"
exit "$bad"
