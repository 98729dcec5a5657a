#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Releases by borrowing, asked for by a daemon made for the test: what is given back, what
# an abandoned one leaves behind, and where it keeps its hands off.

. "$(dirname "$0")/hook-lib.sh"

need_agent
need_compiler
have python3 || skip_all "there is no python3"
# shellcheck disable=SC2086 # the compiler may be several words
$cc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pthread -o "$scratch/stall" \
	"$here/../bench/stall.c"
cat >"$scratch/fill.c" <<'EOF'
#include <malloc.h>
__attribute__((constructor)) static void fill(void)
{
	mallopt(M_PERTURB, 0x55);
}
EOF
# shellcheck disable=SC2086
$cc -O2 -shared -fPIC -o "$scratch/fill.so" "$scratch/fill.c"
exec python3 "$here/hook-borrow.py" "$hook" "$scratch/stall" "$scratch"
