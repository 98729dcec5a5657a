#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Policy is pure: what it calls and does not define itself is on a short list. So no clock,
# file, log, allocation, random number or qsort() can be in it. Takes the archive or
# objects of the policy library; NM says how to read them (may be several words).

set -eu

if [ $# -eq 0 ]; then
	echo "Usage: [NM=...] $0 LIBPOLICY.a..." >&2
	exit 2
fi

# Copies and comparisons of plain memory; clang makes bcmp() of a memcmp() that only asks whether.
allowed='memcpy|memset|memcmp|bcmp|memmove|strcmp|strlen'
# The same with a length check, and the check of the stack: hardening flags add them.
allowed="$allowed|__mem(cpy|set|move)_chk|__stack_chk_(fail|guard|fail_local)"
# 64-bit arithmetic on 32-bit machines; position-independent code.
allowed="$allowed|__(u?div|u?mod|u?divmod|mul|ashl|ashr|lshr)[dt]i[34]|_GLOBAL_OFFSET_TABLE_"
# Instrumentation of a sanitizer or coverage build; policy itself did not ask for it.
allowed="$allowed|__(asan|ubsan|tsan|msan|sanitizer|gcov|llvm_profile)_[a-zA-Z0-9_]*"
# Nouns: objects may be given without the model's own; these neither call anything.
allowed="$allowed|(group_kind|gate_state|outcome_kind|reason)_to_(string|text)"
allowed="$allowed|outcome_(released_bytes|is_quiet)"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for file in "$@"; do
	# NM is several words with some compilers ("gcc-nm", "nm -B").
	${NM:-nm} -P "$file" > "$dir/symbols" || {
		echo "check-pure: cannot look into \"$file\" with ${NM:-nm}; is it built?" >&2
		exit 1
	}

	# nm is content with an empty archive and with LTO objects it cannot read; we are not.
	if ! awk 'NF > 1 && $2 == "T" { found = 1 } END { exit !found }' "$dir/symbols"; then
		echo "check-pure: no function in \"$file\"; nothing was checked" >&2
		exit 1
	fi

	cat "$dir/symbols" >> "$dir/all"
done

# What one file lacks and another defines is a call within policy.
awk 'NF > 1 && $2 ~ /^[A-TV-Zi]$/ { print $1 }' "$dir/all" | LC_ALL=C sort -u > "$dir/defined"
awk 'NF > 1 && $2 ~ /^[Uvw]$/ { print $1 }' "$dir/all" | LC_ALL=C sort -u > "$dir/undefined"
LC_ALL=C comm -23 "$dir/undefined" "$dir/defined" > "$dir/wanted"

awk -v allowed="^($allowed)\$" '$0 !~ allowed' "$dir/wanted" > "$dir/impure"

if [ -s "$dir/impure" ]; then
	while read -r symbol; do
		echo "check-pure: policy calls $symbol(); hand it in as a fact instead" >&2
	done < "$dir/impure"
	exit 1
fi

echo "check-pure: $(wc -l < "$dir/defined") symbols defined, nothing impure called"
