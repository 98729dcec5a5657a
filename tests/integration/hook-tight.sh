#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A release in a program that may not have one page more; see hook-tight.py. Row 25.

. "$(dirname "$0")/hook-lib.sh"

need_agent
need_compiler
have python3 || skip_all "there is no python3"
is_root || skip_all "a memory cgroup of one's own needs root"

subject=$scratch/subject
# shellcheck disable=SC2086 # the compiler may be several words
$cc -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread -o "$subject" "$here/fault-subject.c"

export MEMGUARD_AGENT=auto
python3 "$here/hook-tight.py" "$hook" "$subject" "$scratch"
