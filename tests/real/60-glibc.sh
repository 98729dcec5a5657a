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
releases=(bullseye trixie forky)    # the oldest first
bad=0

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
	local release=$1 directory=$scratch/$1-root libc

	mkdir -p "$scratch/$release/lists/partial" "$scratch/$release/archives/partial"
	echo "deb [signed-by=$key] $site $release main" >"$scratch/$release.list"
	apt update || return
	(cd "$scratch" && mkdir "$release-deb" && cd "$release-deb" && apt download "libc6/$release") || return
	dpkg -x "$scratch/$release-deb"/libc6_*.deb "$directory" 2>>"$scratch/apt.log" || return
	libc=$(find "$directory" -name libc.so.6 | head -n 1)
	[ -z "$libc" ] || dirname "$libc"
}

# Linked with the oldest that is there, a program runs with all of them; only before 2.34 are
# threads in a library of their own.
link_old()
{
	local threads=()

	[ ! -e "$1/libpthread.so.0" ] || threads=(-l:libpthread.so.0)
	"${CC:-cc}" -O2 -D_GNU_SOURCE -o "$scratch/stall" "$top/tests/bench/stall.c" -nodefaultlibs -L"$1" \
		"${threads[@]}" -l:libc.so.6 -l:ld-linux-x86-64.so.2 -lgcc -Wl,--allow-shlib-undefined
}

# What has two of jemalloc's names: the loader is asked for the second, which before 2.34 is not by dlsym().
link_names()
{
	"${CC:-cc}" -O2 -shared -fPIC -ffreestanding -nostdlib -o "$scratch/names.so" -x c - <<-'END'
		#include <stddef.h>
		int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
		{
			(void)old_size, (void)new, (void)new_size;
			if (name[0] == 'v')
				*(const char **)old = "5.3.0-names";
			return name[0] == 'v' ? 0 : 2;
		}
		void *mallocx(size_t size, int flags)
		{
			(void)size, (void)flags;
			return NULL;
		}
	END
}

# What has the program fill memory that it frees, which the environment does not tell.
link_fill()
{
	"${CC:-cc}" -O2 -shared -fPIC -ffreestanding -nostdlib -o "$scratch/fill.so" -x c - <<-'END'
		#include <malloc.h>
		__attribute__((constructor)) static void fill(void)
		{
			mallopt(M_PERTURB, 0x55);
		}
	END
}

# Of each that is not there it is said, or a test that ran with none would look like one that did.
declare -A where
found=()
for release in "${releases[@]}"; do
	where[$release]=$(fetch "$release") || where[$release]=
	if [ -n "${where[$release]}" ]; then
		found+=("$release")
	else
		echo "skip - glibc of $release: $(tail -n 1 "$scratch/apt.log")"
	fi
done
[ ${#found[@]} -gt 0 ] || skip "no glibc but the machine's: no packages of other releases"
link_old "${where[${found[0]}]}" || exit 1
link_names && link_fill || exit 1

for release in "${found[@]}"; do
	python3 "$top/tests/real/glibc.py" "$build/libmemguard-hook.so" "$scratch/stall" "$scratch" \
		"${where[$release]}" || bad=1
done
echo "${#found[@]} of ${#releases[@]} glibc beside the machine's"
exit $bad
