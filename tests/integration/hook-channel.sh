#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the hook answers, what it refuses, and whom; see hook-channel.py. Of the list of
# hazards: row 20 and row 21 (descriptors), row 31 (the end during a release), row 40 (the
# daemon comes back), row 41 and row 42 (peers that send what they should not, or do not
# read, or are others than they should), row 44 (allocators that are preloaded).

. "$(dirname "$0")/hook-lib.sh"

need_agent
build_subject
have python3 || skip_all "there is no python3"

export MEMGUARD_AGENT=auto
python3 "$here/hook-channel.py" "$hook" "$subject" "$scratch" || bad=1

exit "$bad"
