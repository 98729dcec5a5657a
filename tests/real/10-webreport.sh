#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The Tokio service in a limited cgroup: killed without memguard, survives with it.
#
#	10-webreport.sh BUILD

set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
out=$build/real-webreport.txt

[ "$(id -u)" = 0 ] || { echo "needs root for a cgroup with a limit"; exit 77; }
"$top/tests/services/build.sh" "$build/services" || exit $?

NO_INSTALL=1 "$top/tests/demo.sh" >"$out" 2>&1 || { cat "$out"; exit 1; }
grep -q 'No memory cgroup can be made' "$out" && { echo "may not make a cgroup here"; exit 77; }
cat "$out"
without=$(sed -n '/1. Without/,/2. With/p' "$out")
with=$(sed -n '/2. With/,$p' "$out")

# expect TEXT REGEX : not by a pipe into grep -q, which leaves early and has pipefail complain.
expect()
{
	grep -q "$2" <<<"$1" || { echo "not found: $2"; exit 1; }
}

expect "$without" 'killed in round'
expect "$with" 'survived 6 rounds'
expect "$with" 'released [0-9.]*[MG].*usage'
