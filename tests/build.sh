#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the checkout into build/ (or $1), configured as an installed one would be.
# Prints nothing unless something fails.

set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$top/build}
log=$build/build.log

mkdir -p "$build"
step()
{
	"$@" >>"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		echo "build.sh: \"$*\" failed; the whole log is $log" >&2
		exit 1
	}
}

: >"$log"
[ "$top/configure" -nt "$top/configure.ac" ] || step "$top/autogen.sh"
cd "$build"
[ -e Makefile ] || step "$top/configure" --enable-developer --prefix=/usr --sysconfdir=/etc \
	--libdir="/usr/lib/$(gcc -print-multiarch)"
step make -j"$(nproc)"
