#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the Debian packages from what git knows of this tree, has lintian look at them, and
# installs and purges them in an empty root. What systemd makes of them is tested in the VM.
#
#	deb.sh OUTDIR		leaves the packages there

set -euo pipefail
export LC_ALL=C

top=$(cd "$(dirname "$0")/.." && pwd)
[ $# -eq 1 ] || { echo "Usage: $0 OUTDIR" >&2; exit 2; }
for tool in dh lintian fakeroot git; do
	command -v $tool >/dev/null || { echo "skip: $tool is not installed"; exit 77; }
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
mkdir -p "$1"
out=$(cd "$1" && pwd)

fail()
{
	echo "not ok - $*"
	exit 1
}

# What is committed, and changes to it that are not yet.
unpack()
{
	local commit

	commit=$(git -C "$top" stash create)
	mkdir "$scratch/memguard"
	git -C "$top" archive "${commit:-HEAD}" | tar -x -C "$scratch/memguard"
}

build()
{
	local jobs

	jobs=$(nproc)
	(cd "$scratch/memguard" && DEB_BUILD_OPTIONS="nocheck parallel=$jobs" \
		dpkg-buildpackage -us -uc -b) >"$scratch/log" 2>&1 || {
		tail -n 40 "$scratch/log"
		fail "dpkg-buildpackage"
	}
	echo "ok - dpkg-buildpackage builds a clean archive of the tree"
}

check_version()
{
	local package

	package=$(cd "$scratch/memguard" && dpkg-parsechangelog -S Version)
	grep -qF "[memguard], [$package]," "$top/configure.ac" ||
		fail "debian/changelog is of $package, configure.ac of another version"
	echo "ok - the packages have the version of configure.ac"
}

check_lintian()
{
	lintian --fail-on error,warning --allow-root "$scratch"/*.changes ||
		fail "lintian, see above"
	echo "ok - lintian has nothing to say"
}

# Everything of DESIGN's list of installed files, and the rights that files should have.
check_files()
{
	local file wrong

	for package in "$scratch"/memguard_*.deb "$scratch"/memguard-hook_*.deb; do
		dpkg-deb -c "$package"
	done >"$scratch/files"
	while read -r file; do
		grep -qE " \./$file( ->|\$)" "$scratch/files" || fail "no package has $file"
	done <<-'FILES'
		usr/sbin/memguardd
		usr/bin/memguardctl
		usr/lib/[^/]*-linux-gnu[^/]*/libmemguard-hook.so
		lib/systemd/system/memguard.service
		lib/systemd/system/memguard.socket
		lib/systemd/system/memguard-control.socket
		usr/lib/systemd/user/memguard.service
		usr/lib/systemd/catalog/memguard.catalog
		usr/lib/sysusers.d/memguard.conf
		etc/memguard/memguard.conf
		etc/apparmor.d/abstractions/base.d/memguard
		usr/share/bash-completion/completions/memguardctl
		usr/share/zsh/vendor-completions/_memguardctl
		usr/share/dbus-1/system.d/org.memguard.Manager1.conf
		usr/share/polkit-1/actions/org.memguard.policy
		usr/share/man/man1/memguardctl.1.gz
		usr/share/man/man5/memguard.conf.5.gz
		usr/share/man/man7/memguard-hook.7.gz
		usr/share/man/man8/memguard.8.gz
		usr/share/man/man8/memguardd.8.gz
	FILES
	wrong=$(grep -vE '^(d|-)rw(-r--r--|xr-xr-x) root/root |^lrwxrwxrwx root/root ' \
		"$scratch/files" || true)
	[ -z "$wrong" ] || fail "rights or owners: $wrong"
	echo "ok - all files are there, root's, and for all to read"
}

check_hook()
{
	dpkg-deb -x "$scratch"/memguard-hook_*.deb "$scratch/hook"
	"$top/tests/static/check-symbols.sh" "$scratch"/hook/usr/lib/*/libmemguard-hook.so \
		>"$scratch/log" 2>&1 || {
		cat "$scratch/log"
		fail "the hook as Debian's flags make it, see above"
	}
	echo "ok - the hook is as small as ever with Debian's flags"
}

# The scripts run outside of the root, which has nothing to run them with.
in_root()
{
	fakeroot dpkg --root="$root" --force-script-chrootless --force-depends "$@" \
		>"$scratch/log" 2>&1 || {
		cat "$scratch/log"
		fail "dpkg $1"
	}
}

# What is there but for the records of dpkg and of users, and empty folders of systemd's.
left_in_root()
{
	(cd "$root" && find . -mindepth 1 ! -path './var/lib/dpkg*' ! -path './var/log*' \
		! \( -path './*/systemd*' -type d \) \
		! -path './etc/passwd*' ! -path './etc/group*' ! -path './etc/shadow*' \
		! -path './etc/gshadow*' ! -path './etc/.pwd.lock' | sort)
}

check_purge()
{
	local enabled=etc/systemd/system/one.service.d

	mkdir -p "$root/var/lib/dpkg" "$root/etc" "$root/var/lib/systemd"
	touch "$root/var/lib/dpkg/status"
	left_in_root >"$scratch/before"

	in_root -i "$scratch"/memguard_*.deb "$scratch"/memguard-hook_*.deb
	grep -q '^memguard:' "$root/etc/passwd" || fail "there is no user memguard"
	[ -L "$root/etc/systemd/system/multi-user.target.wants/memguard.service" ] ||
		fail "memguard.service is not enabled"
	[ -z "$(find "$root/etc/systemd/user" -name '*memguard*' 2>/dev/null)" ] ||
		fail "the units of users are enabled for all of them"
	echo "ok - installing makes the user, and enables the system's units alone"

	mkdir -p "$root/etc/memguard/memguard.conf.d" "$root/$enabled"
	echo '[Guard]' >"$root/etc/memguard/memguard.conf.d/own.conf"
	fakeroot "$root/usr/bin/memguardctl" enable --root="$root" one two >/dev/null
	echo '[Unit]' >"$root/$enabled/own.conf"
	in_root --remove memguard
	grep -q 'try-restart one.service two.service$' "$scratch/log" ||
		fail "removing does not say which services to restart"
	[ -e "$root/$enabled/own.conf" ] || fail "removing took another's drop-in"
	[ ! -e "$root/$enabled/50-memguard.conf" ] || fail "removing left what enable made"
	[ -e "$root/etc/memguard/memguard.conf.d/own.conf" ] || fail "removing took settings"
	echo "ok - removing takes what enable made, and leaves settings"

	rm -r "${root:?}/$enabled"
	in_root --purge memguard memguard-hook
	left_in_root >"$scratch/after"
	diff "$scratch/before" "$scratch/after" >"$scratch/log" || {
		cat "$scratch/log"
		fail "purging left the above"
	}
	echo "ok - purging leaves nothing"
}

unpack
check_version
build
check_lintian
check_files
check_hook
check_purge
rm -f "$out"/memguard*.deb
cp "$scratch"/memguard_*.deb "$scratch"/memguard-hook_*.deb "$out"
