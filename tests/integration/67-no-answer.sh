#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A daemon that hangs keeps nobody waiting for long: sd-bus by itself waits for a minute and a half
# until a connection is taken.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

start_daemon ''
halt "$daemon"
status=0
timeout 75 "$MEMGUARDCTL" --runtime-directory="$runtime" status 2>"$scratch/told" || status=$?
cat "$scratch/told"
claim "status gives up" test $status = 1
claim "and says where to look" grep -qF 'does not answer: see "systemctl status memguard"' "$scratch/told"
kill -CONT "$daemon"
claim "when it goes on it answers" wait_for 30 ctl status

finish
