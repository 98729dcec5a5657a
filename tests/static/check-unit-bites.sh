#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-unit.sh can fail: the unit with one line changed at a time.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
bad=0

if ! command -v systemd-analyze >/dev/null; then
	echo "skip: there is no systemd-analyze"
	exit 77
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

sed -e 's|@unittype@|notify|; s|@execreload@|ExecReload=|; s|@[a-z]*@|/usr/bin|g' "$here/../../etc/memguard.service.in" >"$scratch/right.service"
if "$here/check-unit.sh" "$scratch/right.service" >"$scratch/out" 2>&1; then
	echo "ok - the unit as it is passes"
else
	echo "not ok - the unit as it is fails:"
	sed 's/^/# /' "$scratch/out"
	bad=1
fi

# As configure --with-notify-reload makes it.
sed 's/^Type=notify/&-reload/; s/^ExecReload=/# SIGHUP: &/' "$scratch/right.service" >"$scratch/reload.service"
if "$here/check-unit.sh" "$scratch/reload.service" >"$scratch/out" 2>&1; then
	echo "ok - with Type=notify-reload it passes"
else
	echo "not ok - with Type=notify-reload it fails:"
	sed 's/^/# /' "$scratch/out"
	bad=1
fi

# @1: a change, @2: what is then said.
refused()
{
	sed "$1" "$scratch/right.service" >"$scratch/wrong.service"
	if cmp -s "$scratch/right.service" "$scratch/wrong.service"; then
		echo "not ok - $1 changes nothing: mend this test"
		bad=1
	elif "$here/check-unit.sh" "$scratch/wrong.service" >"$scratch/out" 2>&1; then
		echo "not ok - passes after $1"
		bad=1
	elif grep -q "^not ok - .*$2" "$scratch/out"; then
		echo "ok - refused after $1"
	else
		echo "not ok - refused after $1, but not for \"$2\":"
		sed 's/^/# /' "$scratch/out"
		bad=1
	fi
}

refused 's/^WatchdogSec=/WatchdogSeconds=/' 'does not accept'
refused 's/^PrivateTmp=yes/PrivateTmp=maybe/' 'does not accept'
refused 's/^After=.*/After=no such unit!/' 'does not accept'
refused 's/^SystemCallFilter=.*//' 'exposure is more'
refused 's/^User=.*//' 'does not say User=memguard'
refused 's/^Type=notify/Type=simple/' 'does not say Type=notify'
refused 's/^ExecReload=/#&/' 'does not say ExecReload=memguardctl reload'
refused 's/^Type=notify/&-reload/' 'does without'
refused 's/^Also=memguard.socket.*/Also=memguard.socket/' 'does not say Also='
refused 's/^ProtectControlGroups=no/ProtectControlGroups=yes/' 'does not say ProtectControlGroups=no'
refused 's|^ExecStart=.*|ExecStart=@sbindir@/memguardd|' 'to be substituted'

if "$here/check-unit.sh" "$scratch/missing.service" >/dev/null 2>&1; then
	echo "not ok - passes without a unit"
	bad=1
else
	echo "ok - fails without a unit"
fi

exit "$bad"
