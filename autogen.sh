#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes ./configure from a checkout; nothing else.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --force --warnings=all,no-portability,no-obsolete "$@"
