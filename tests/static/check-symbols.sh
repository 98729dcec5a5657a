#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The hook as the loader of any program will see it: needs nothing, exports one name,
# imports only what libhook/weak.h names, brings no TLS, no destructor, nothing writable
# and executable, and stays small: row 1, row 29 and row 30 of the list of hazards.
# Usage: check-symbols.sh [HOOK], by default $HOOK or libmemguard-hook.so here. $READELF may
# be several words.

set -eu
export LC_ALL=C

top=$(cd "$(dirname "$0")/../.." && pwd)
hook=${1:-${HOOK:-libmemguard-hook.so}}
readelf=${READELF:-readelf}
size_max=$((64 * 1024))
imports_max=35
bad=0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail()
{
	echo "not ok - $1"
	[ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/# /'
	bad=1
}

# @1: a claim, @2: lines that contradict it, if any.
nothing()
{
	if [ -n "$2" ]; then
		fail "$1" "$2"
	else
		echo "ok - $1"
	fi
}

# @1: a claim, @2: what readelf must show for it, @3: where.
shows()
{
	if grep -Eq -- "$2" "$scratch/$3"; then
		echo "ok - $1"
	else
		fail "$1" "readelf does not show $2"
	fi
}

# What readelf says goes to files, and its failure is ours: an object that cannot be
# read has no NEEDED either.
look()
{
	if ! $readelf -W "$1" "$hook" >"$scratch/$2" 2>"$scratch/errors" ||
		[ -s "$scratch/errors" ] || [ ! -s "$scratch/$2" ]; then
		fail "\"$readelf $1\" can read \"$hook\"" "$(cat "$scratch/errors")"
		exit 1
	fi
}

look -h header
look -d dynamic
look -l segments
look -S sections
look --dyn-syms symbols

shows "it is a shared object" 'Type:.*DYN' header
shows "it has symbols to look at" '^ +[0-9]+: ' symbols

nothing "it needs no library" "$(grep -E '\((NEEDED|AUXILIARY|FILTER|AUDIT|DEPAUDIT)\)' "$scratch/dynamic" || :)"
nothing "it has no search path" "$(grep -E '\((RPATH|RUNPATH)\)' "$scratch/dynamic" || :)"
nothing "nothing runs when it is unloaded or the program ends" \
	"$(grep -E '\((FINI|FINI_ARRAY)\)' "$scratch/dynamic" || :)"
nothing "its text is not relocated" "$(grep -E 'TEXTREL' "$scratch/dynamic" || :)"
shows "all is bound at start" '\((BIND_NOW)\)|FLAGS.* (BIND_)?NOW' dynamic
shows "it is never unmapped" 'FLAGS_1.*NODELETE' dynamic

nothing "it has no thread-local storage" "$(grep -E '^ +TLS ' "$scratch/segments" || :)"
nothing "nothing is writable and executable" "$(grep -E '^ +(LOAD|GNU_STACK) .* RWE ' "$scratch/segments" || :)"
shows "its stack is not executable" '^ +GNU_STACK .* RW ' segments
shows "relocated data is read-only afterwards" '^ +GNU_RELRO ' segments

# Columns: Num Value Size Type Bind Vis Ndx Name; a version after @ is not part of the name.
awk '$1 ~ /^[0-9]+:$/ && $8 != "" { sub(/@.*/, "", $8); print ($7 == "UND"), $5, $8 }' \
	"$scratch/symbols" >"$scratch/names"

nothing "all it imports is weak" "$(awk '$1 && $2 != "WEAK" { print $3, $2 }' "$scratch/names")"

sed -n 's/^#pragma weak \([A-Za-z_0-9]*\)$/\1/p' "$top/libhook/weak.h" | sort >"$scratch/listed"
[ -s "$scratch/listed" ] || fail "libhook/weak.h lists imports"
awk '$1 { print $3 }' "$scratch/names" | sort -u >"$scratch/imports"
nothing "libhook/weak.h lists all it imports" "$(comm -23 "$scratch/imports" "$scratch/listed")"

# Each is a search through all objects of each program that starts.
n_imports=$(wc -l <"$scratch/imports")
if [ "$n_imports" -le "$imports_max" ]; then
	echo "ok - the loader has few names to look up: $n_imports, at most $imports_max"
else
	fail "the loader has few names to look up: $n_imports, must be at most $imports_max"
fi

sed -n '/global:/,/local:/s/^[[:space:]]*\([A-Za-z_0-9]*\);$/\1/p' "$top/libhook/memguard-hook.sym" |
	sort >"$scratch/promised"
[ -s "$scratch/promised" ] || fail "libhook/memguard-hook.sym lists exports"
awk '!$1 { print $3 }' "$scratch/names" | sort -u >"$scratch/exports"
nothing "it exports what libhook/memguard-hook.sym lists, and nothing else" \
	"$(comm -3 "$scratch/exports" "$scratch/promised")"

# Columns after the name: Type Address Off Size ES Flg; what is allocated has the flag A.
decimal()
{
	sum=0
	# shellcheck disable=SC2013 # hexadecimal words, which awk of every kind cannot add
	for hex in $(sed 's/^ *\[ *[0-9]*\]//' "$scratch/sections" |
		awk -v zeroed="$1" '$7 ~ /A/ && ($2 == "NOBITS") == zeroed { print $5 }'); do
		sum=$((sum + 0x$hex))
	done
	echo "$sum"
}

loaded=$(decimal 0)
zeroed=$(decimal 1)
[ "$loaded" -gt 0 ] || fail "it has sections that are loaded"
if [ "$loaded" -lt "$size_max" ] && [ "$zeroed" -lt "$size_max" ]; then
	echo "ok - it is small: $loaded bytes loaded, $zeroed zeroed, below $size_max each"
else
	fail "it is small: $loaded bytes loaded, $zeroed zeroed, must be below $size_max each"
fi

exit "$bad"
