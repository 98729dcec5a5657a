#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every header compiles alone, and twice: it includes what it uses and guards itself.
# Usage: check-headers.sh [TREE]. $CC and $CPPFLAGS may be several words.

set -eu
export LC_ALL=C

cd "${1:-$(dirname "$0")/../..}"
cc=${CC:-cc}
bad=0
n=0

if ! command -v "${cc%% *}" >/dev/null; then
	echo "skip: there is no compiler \"$cc\""
	exit 77
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for header in $(find agent libhook -name '*.h' | sort); do
	n=$((n + 1))
	printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$scratch/alone.c"
	# shellcheck disable=SC2086 # several words
	if ! $cc ${CPPFLAGS:-} -std=gnu11 -D_GNU_SOURCE -I. -Wall -Wextra -Wstrict-prototypes -Werror \
		-fsyntax-only "$scratch/alone.c" 2>"$scratch/errors"; then
		echo "not ok - $header compiles alone:"
		sed 's/^/# /' "$scratch/errors"
		bad=1
	fi
done

if [ "$n" -lt 20 ]; then
	echo "not ok - only $n headers were found: is this the source tree?"
	exit 1
fi

[ "$bad" -eq 0 ] || exit 1
echo "ok - all $n headers compile alone"
