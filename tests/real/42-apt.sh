#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# apt and dpkg, which change nothing here: queries, a simulated installation, and a repository of
# our own that apt fetches through its sandboxed helpers.
#
#	42-apt.sh BUILD

. "$(dirname "$0")/lib.sh"

need apt-get apt
need dpkg-deb dpkg
need_root "to see apt's helpers become _apt"

# A repository of one package, and all of apt's state in $work.
make_repository()
{
	mkdir -p "$work/tree/DEBIAN" "$work/repo" "$work/state/lists/partial" "$work/cache/archives/partial" \
		"$work/etc/apt.conf.d" "$work/etc/preferences.d"
	printf '%s\n' 'Package: nothing' 'Version: 1' 'Architecture: all' \
		'Maintainer: nobody <nobody@example>' 'Description: nothing at all' >"$work/tree/DEBIAN/control"
	find "$work/tree" -exec touch -d @1700000000 {} +
	(SOURCE_DATE_EPOCH=1700000000 under dpkg-deb --root-owner-group -b "$work/tree" "$work/repo/nothing.deb")
	{
		cat "$work/tree/DEBIAN/control"
		echo "Filename: ./nothing.deb"
		echo "Size: $(stat -c %s "$work/repo/nothing.deb")"
		echo "SHA256: $(sha256sum "$work/repo/nothing.deb" | cut -d' ' -f1)"
	} >"$work/repo/Packages"
	echo "deb [trusted=yes] file:$work/repo ./" >"$work/etc/sources.list"
	: >"$work/status"
	chmod -R a+rX "$work"
}

apt_options()
{
	printf '%s\n' -o Dir::State="$work/state" -o Dir::State::status="$work/status" \
		-o Dir::Cache="$work/cache" -o Dir::Etc="$work/etc" -o APT::Architecture=amd64 \
		-o Debug::NoLocking=1 -o APT::Get::List-Cleanup=0
}

session()
{
	local options

	make_repository
	mapfile -t options < <(apt_options)
	# How long it took and how fast it was differs.
	(under apt-get "${options[@]}" update) | sed 's/ in [0-9]*s (.*//'
	(under apt-cache "${options[@]}" show nothing)
	(under apt-cache "${options[@]}" policy nothing)
	(under apt-get "${options[@]}" -s install nothing)
	(cd "$work" && under apt-get "${options[@]}" download nothing) | sed 's/ in [0-9]*s (.*//'
	cmp "$work/nothing_1_all.deb" "$work/repo/nothing.deb"
	(under apt-get "${options[@]}" -s install no-such-package) || echo "status $?"
	(under apt-cache depends bash)
	(under apt-get -s remove sed) >"$work/removal"
	grep -c ^Remv "$work/removal"
	(under dpkg -l bash apt | tail -n 2)
	(under dpkg -S /bin/bash)
	(under dpkg -V base-files) || echo "status $?"
	(under dpkg --compare-versions 1.2 gt 1.10) || echo "status $?"
}

matrix apt session
finish
