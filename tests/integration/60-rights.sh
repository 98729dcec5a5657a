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

# as_other COMMAND... : and its output, refused or not.
as_other()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# raw METHOD ... : a call without memguardctl in between, which might be too polite.
raw()
{
	as_other busctl --address="unix:path=$runtime/bus" call org.memguard.Manager1 \
		/org/memguard/Manager1 org.memguard.Manager1 "$@"
}

denied()
{
	! "$@" >"$scratch/denied" 2>&1 && { cat "$scratch/denied"; grep -qi 'denied' "$scratch/denied"; }
}

# on_hook_socket WHAT : somebody else there, what he saw in $scratch/other.WHAT.
on_hook_socket()
{
	as_other env PATH=/usr/bin:/bin python3 "$scratch/rights.py" "$runtime/hook.sock" "$1" "$retainer" \
		>"$scratch/other.$1" 2>&1 &
	started+=($!)
	wait_for 20 grep -q connected "$scratch/other.$1"
}

here=$(cd "$(dirname "$0")" && pwd)
chmod 755 "$scratch"
start_daemon
start_retainer 64
wait_for 20 is_member "$retainer"

claim "may ask for the status" other status
claim "may not trim" refused trim "$retainer"
claim "may not tune" refused tune "$retainer" TopPad=1M
claim "may not reload" refused reload
claim "may ask for his own" eval '[ "$(other --json=short list)" = "[]" ]'
claim "does not see another user's figures" eval '! other --json=short show '"$retainer"

if command -v busctl >/dev/null; then
	claim "nor by calls of his own making: trim" denied raw Trim s "$retainer"
	claim "TrimWith" denied raw TrimWith 'sa{sv}' "$retainer" 1 method s full
	claim "tune" denied raw Tune sst "$retainer" TopPad 1048576
	claim "reload" denied raw Reload
	claim "how loud the daemon is" denied as_other busctl --address="unix:path=$runtime/bus" \
		set-property org.memguard.Manager1 /org/freedesktop/LogControl1 \
		org.freedesktop.LogControl1 LogLevel s err
	claim "another's figures are not there" eval \
		"! raw Show s $retainer && ! raw ListMembers s $retainer && ! raw Explain s $retainer"
fi

# Root of a container without a user namespace has root's number, and not his rights.
contained()
{
	unshare --fork --pid --kill-child "$MEMGUARDCTL" --runtime-directory="$runtime" "$@"
}

# contained_refused TEXT VERB...
contained_refused()
{
	local text=$1

	shift
	! contained "$@" >"$scratch/refused" 2>&1 && { cat "$scratch/refused"; grep -qF -e "$text" "$scratch/refused"; }
}

if unshare --fork --pid true 2>/dev/null; then
	claim "root of a container may ask for the status" contained status
	claim "may not trim" contained_refused "Only root outside of this container" trim "$retainer"
	claim "may not tune" contained_refused "Only root outside of this container" tune "$retainer" TopPad=1M
	claim "may not reload" contained_refused "Only root outside of this container" reload
	claim "sees nobody" eval '[ "$(contained --json=short list)" = "[]" ]'
	claim "by no name" contained_refused "Only root" --json=short show "$retainer"
fi

if as_other env PATH=/usr/bin:/bin python3 -c "" 2>/dev/null; then
	# He may not be let into the checkout.
	cp "$here/rights.py" "$here/../shim/hook_peer.py" "$scratch"
	chmod 644 "$scratch"/*.py
	on_hook_socket asks
	claim "who asks on the hook's socket is sent away" wait_for 20 grep -q closed "$scratch/other.asks"
	claim "without an answer" eval "! grep -q got '$scratch/other.asks'"

	on_hook_socket impersonates
	pid=$(awk '/connected/ { print $2 }' "$scratch/other.impersonates")
	claim "who says the right things is a member" wait_for 20 eval \
		'[ "$(ctl --json=short list | jq "map(select(.uid == 65534)) | length")" = 1 ]'
	claim "who names another's thread is still himself, or nobody" eval \
		'[ "$(ctl --json=short list | jq "map(select(.pid == '"$retainer"')) | length")" = 1 ] &&
		 [ "$(ctl --json=short list | jq "map(select(.uid == 65534 and .pid != '"$pid"')) | length")" = 0 ]'
	claim "a release goes to whom it is meant for" trims "$retainer"
	claim "who has given it" wait_for 20 rss_is_below "$retainer" 32
	claim "and to no other" eval "! grep -q 'got 4' '$scratch/other.impersonates'"
fi
finish
