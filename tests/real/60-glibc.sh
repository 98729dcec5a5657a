#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# glibc of other releases of the distribution, from their packages, beside the machine's: a
# program full of holes is run with their loader, and asked for a release by both methods.
# What borrowing needs of an allocator is found out at run time; here it is, and is not.
#
#	60-glibc.sh BUILD

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
releases=(bullseye trixie forky)
bad=0
n_run=0

skip()
{
	echo "$*"
	exit 77
}

[ "$(uname -m)" = x86_64 ] || skip "the packages are looked for by x86_64's names"
command -v apt-get >/dev/null || skip "there is no apt-get to fetch other releases with"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Where this machine's own packages come from has the other releases too, if anything has.
site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | head -n 1)
key=$(ls /usr/share/keyrings/debian-archive-keyring.gpg 2>/dev/null || true)
[ -n "$site" ] && [ -n "$key" ] || skip "this machine's packages come from nowhere I know"

apt()
{
	apt-get -qq -o Dir::Etc::sourcelist="$scratch/$release.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$scratch/$release" -o Dir::Cache="$scratch/$release" \
		-o APT::Sandbox::User=root "$@" >>"$scratch/apt.log" 2>&1
}

# fetch RELEASE - its libc, unpacked; prints where libc.so.6 is.
fetch()
{
	local release=$1 directory=$scratch/$1-root

	mkdir -p "$scratch/$release/lists/partial" "$scratch/$release/archives/partial"
	echo "deb [signed-by=$key] $site $release main" >"$scratch/$release.list"
	apt update || return
	(cd "$scratch" && mkdir "$release-deb" && cd "$release-deb" && apt download "libc6/$release") || return
	dpkg -x "$scratch/$release-deb"/libc6_*.deb "$directory"
	dirname "$(find "$directory" -name libc.so.6 | head -n 1)"
}

# Linked with the oldest, a program runs with all of them.
link_old()
{
	"${CC:-cc}" -O2 -D_GNU_SOURCE -o "$scratch/stall" "$top/tests/bench/stall.c" -nodefaultlibs -L"$1" \
		-l:libpthread.so.0 -l:libc.so.6 -l:ld-linux-x86-64.so.2 -lgcc -Wl,--allow-shlib-undefined
}

declare -A where
for release in "${releases[@]}"; do
	where[$release]=$(fetch "$release") || unset "where[$release]"
done
[ -n "${where[bullseye]:-}" ] || skip "no packages of other releases: $(tail -n 1 "$scratch/apt.log")"
link_old "${where[bullseye]}" || exit 1

for release in "${!where[@]}"; do
	python3 "$top/tests/real/glibc.py" "$build/libmemguard-hook.so" "$scratch/stall" "$scratch" \
		"${where[$release]}" || bad=1
	n_run=$((n_run + 1))
done
echo "$n_run glibc beside the machine's"
exit $bad
