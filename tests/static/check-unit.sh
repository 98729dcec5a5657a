#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# systemd accepts the units without a word, and the service is exposed to at most 1.3 as
# "systemd-analyze security" counts. Usage: check-unit.sh [SERVICE], by default $UNIT or
# etc/memguard.service here (the built one); the sockets are taken from the source tree.

set -eu
export LC_ALL=C

etc=$(cd "$(dirname "$0")/../../etc" && pwd)
service=${1:-${UNIT:-etc/memguard.service}}
threshold=13
bad=0

if ! command -v systemd-analyze >/dev/null; then
	echo "skip: there is no systemd-analyze"
	exit 77
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ ! -s "$service" ]; then
	echo "not ok - there is no unit \"$service\": make it, or name it"
	exit 1
fi

if grep -n '^[^#]*@[a-z]*@' "$service"; then
	echo "not ok - $service still has names to be substituted"
	exit 1
fi

type=$(sed -n 's/^Type=//p' "$service")
version=$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')

# What configure --with-notify-reload makes. An older systemd takes the type for "simple", and so
# for a service that is ready at once and cannot be reloaded; all else is to be seen there, too.
if [ "$type" = notify-reload ] && [ "$version" -lt 253 ]; then
	cp "$service" "$scratch/reload.service"
	systemd-analyze verify --man=no "$scratch/reload.service" >"$scratch/out" 2>&1 || true
	if grep -q 'Failed to parse service type.*notify-reload' "$scratch/out"; then
		echo "ok - systemd $version does not know Type=notify-reload: not a unit for this machine"
	else
		echo "not ok - systemd $version says nothing about Type=notify-reload:"
		sed 's/^/# /' "$scratch/out"
		bad=1
	fi
	rm "$scratch/reload.service"
	sed 's/^Type=notify-reload$/Type=notify/' "$service" >"$scratch/older.service"
else
	cp "$service" "$scratch/older.service"
fi

# Before the installation its programs are not where it says; all else is as it will be.
cp "$etc"/memguard.socket "$etc"/memguard-control.socket "$scratch"
sed 's|^\(Exec[A-Za-z]*=\)[^ ]*|\1/bin/true|' "$scratch/older.service" >"$scratch/memguard.service"

# Its own folder first, then (the empty last part) the system's.
if SYSTEMD_UNIT_PATH="$scratch:" systemd-analyze verify --man=no "$scratch"/memguard.service \
	"$scratch"/memguard.socket "$scratch"/memguard-control.socket >"$scratch/out" 2>&1 &&
	! grep -F "$scratch" "$scratch/out" >"$scratch/ours"; then
	echo "ok - systemd accepts the units"
else
	echo "not ok - systemd does not accept the units:"
	sed "s|$scratch/||; s/^/# /" "$scratch/out"
	bad=1
fi

if systemd-analyze security --offline=true --threshold="$threshold" --no-pager \
	"$scratch/memguard.service" >"$scratch/out" 2>&1; then
	echo "ok - exposure is at most $threshold tenths: $(sed -n 's/^.*level for [^:]*: //p' "$scratch/out")"
else
	echo "not ok - exposure is more than $threshold tenths, or cannot be told:"
	grep '^-' "$scratch/out" | sed 's/^/# /'
	bad=1
fi

# What the daemon and the manual rely on.
[ "$type" = notify-reload ] || type=notify
for line in "Type=$type" 'User=memguard' 'ProtectControlGroups=no' \
	'Requires=memguard.socket memguard-control.socket' \
	'Also=memguard.socket memguard-control.socket'; do
	if grep -qx "$line" "$service"; then
		echo "ok - it says $line"
	else
		echo "not ok - it does not say $line"
		bad=1
	fi
done

# Either it is told and waits, or the manager waits for its word.
if [ "$type" = notify-reload ] && grep -q '^ExecReload=' "$service"; then
	echo "not ok - it says ExecReload=, which Type=notify-reload does without"
	bad=1
elif [ "$type" = notify ] && ! grep -q '^ExecReload=.*memguardctl reload$' "$service"; then
	echo "not ok - it does not say ExecReload=memguardctl reload"
	bad=1
else
	echo "ok - it can be reloaded"
fi

exit "$bad"
