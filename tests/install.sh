#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs what tests/packages, or the LIST named instead, lists and the machine lacks. Does
# nothing, and needs no root, where nothing is missing.
#
#	install.sh [LIST...]

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- "$here/packages"
lists=("$@")

missing()
{
	local package

	while read -r package; do
		case $package in
		'' | '#'*) continue ;;
		esac
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
			grep -qx installed || echo "$package"
	done < <(cat "${lists[@]}")
}

if ! command -v apt-get >/dev/null; then
	echo "install.sh: not a Debian system; needed are the likes of:" \
		"$(grep -hv '^#' "${lists[@]}" | tr '\n' ' ')" >&2
	exit 0
fi

mapfile -t packages < <(missing)
[ ${#packages[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "install.sh: these packages are missing; run as root:" >&2
	echo "    apt-get install ${packages[*]}" >&2
	exit 1
fi

echo "Installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# No package may start a server of its own on the machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod +x $policy
fi
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
