#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the hook answers, what it refuses, and whom; see hook-channel.py.

. "$(dirname "$0")/hook-lib.sh"

need_agent
build_subject
have python3 || skip_all "there is no python3"

export MEMGUARD_AGENT=auto
python3 "$here/hook-channel.py" "$hook" "$subject" "$scratch" || bad=1

exit "$bad"
