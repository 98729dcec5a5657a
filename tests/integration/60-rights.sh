#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Another user can look at what is his, and cannot make others' programs do anything.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root to become another user"
command -v setpriv >/dev/null || skip "no setpriv here"

other()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$MEMGUARDCTL" --runtime-directory="$runtime" "$@"
}

refused()
{
	local status=0

	other "$@" >"$scratch/refused" 2>&1 || status=$?
	cat "$scratch/refused"
	[ $status -eq 1 ] && grep -qiE 'permission|not allowed|denied|root' "$scratch/refused"
}

chmod 755 "$scratch"
start_daemon
start_retainer 64
wait_for 20 is_member "$retainer"

claim "may ask for the status" other status
claim "may not trim" refused trim "$retainer"
claim "may not tune" refused tune "$retainer" TopPad=1M
claim "may not reload" refused reload
claim "does not see another user's figures" eval '! other --json=short show '"$retainer"
finish
