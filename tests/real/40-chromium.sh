#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Row 14: a browser's sandboxes start with one thread, take namespaces of their own, and
# then filter; what is left kills for a call too many. It renders as it does alone.
#
#	40-chromium.sh BUILD

set -euo pipefail

build=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

skip()
{
	echo "skip - $*"
	exit 77
}

command -v chromium >/dev/null || skip "there is no chromium"
if [ "$(id -u)" = 0 ]; then
	# Root would have to switch the sandbox off.
	as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chmod 755 "$scratch"
	mkdir -m 777 "$scratch/home"
else
	as_user=()
	mkdir "$scratch/home"
fi
cp "$build/libmemguard-hook.so" "$scratch/libmemguard-hook.so"

render()
{
	rm -rf "$scratch/home/"*
	"${as_user[@]}" env HOME="$scratch/home" LD_PRELOAD="$1" MEMGUARD_SOCKET="$scratch/nobody.sock" \
		timeout -k 5 90 chromium --headless=new --disable-gpu --user-data-dir="$scratch/home/data" \
		--dump-dom 'data:text/html,<p>rendered</p>' 2>"$scratch/err"
}

render "" >"$scratch/plain" && grep -q '<p>rendered</p>' "$scratch/plain" ||
	skip "chromium and its sandbox do not work here without the hook either"

status=0
render "$scratch/libmemguard-hook.so" >"$scratch/hooked" || status=$?
if [ $status -eq 0 ] && cmp -s "$scratch/plain" "$scratch/hooked" &&
	! grep -qE 'CRASHING|multiple threads|cannot be preloaded' "$scratch/err"; then
	echo "ok - row 14: chromium renders in its sandbox under the hook"
else
	echo "not ok - row 14: chromium renders in its sandbox under the hook"
	sed 's/^/#   /' "$scratch/err"
	exit 1
fi
