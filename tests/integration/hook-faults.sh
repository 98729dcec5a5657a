#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon dies, freezes or floods at every step, and the program does at the worst moment
# what programs do; see hook-faults.py. Row 25 (limits), row 31 (exit), row 41 (slow peers).

. "$(dirname "$0")/hook-lib.sh"

need_agent
need_compiler
have python3 || skip_all "there is no python3"

subject=$scratch/subject
# shellcheck disable=SC2086 # the compiler may be several words
$cc -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread -o "$subject" "$here/fault-subject.c"

# Users other than ours run it too.
chmod 0755 "$scratch"
cp "$hook" "$scratch/libmemguard-hook.so"

export MEMGUARD_AGENT=auto
python3 "$here/hook-faults.py" "$scratch/libmemguard-hook.so" "$subject" "$scratch" || bad=1

exit "$bad"
