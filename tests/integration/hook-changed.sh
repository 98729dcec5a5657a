#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Releases in programs that have changed the ground under the hook: see hook-changed.py.

. "$(dirname "$0")/hook-lib.sh"

need_agent
need_compiler
have python3 || skip_all "there is no python3"
build changed
exec python3 "$here/hook-changed.py" "$hook" "$scratch/changed" "$scratch"
