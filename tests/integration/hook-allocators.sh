#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Allocators other than glibc's, preloaded, linked in, beside glibc's, and false ones that
# must never be called; see hook-allocators.py.
# Holds row 44 of the list of hazards.

. "$(dirname "$0")/hook-lib.sh"

need_agent
need_compiler
have python3 || skip_all "there is no python3"
unset MALLOC_CONF JE_MALLOC_CONF _RJEM_MALLOC_CONF MIMALLOC_PURGE_DELAY MIMALLOC_DECOMMIT_DELAY
unset MIMALLOC_RESET_DELAY TCMALLOC_RELEASE_RATE MEMGUARD_SYMBOLS

compile()
{
	# shellcheck disable=SC2086 # the compiler may be several words
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -pthread "$@"
}

subject=$here/allocators-subject.c
compile -o "$scratch/plain" "$subject"

# jemalloc in the executable itself: malloc is exported, since libc needs it, mallctl is not.
if compile -Wl,--build-id -o "$scratch/linked" "$subject" -Wl,-Bstatic -ljemalloc_pic \
	-Wl,-Bdynamic -lm -ldl -lstdc++ 2>"$scratch/err"; then
	:
else
	echo "# no libjemalloc_pic.a here: programs with jemalloc linked in are skipped"
fi

# jemalloc under the names that a build with a prefix has, beside glibc.
archive=$($cc -print-file-name=libjemalloc_pic.a)
if [ -r "$archive" ] && have objcopy; then
	for name in malloc calloc realloc free aligned_alloc posix_memalign memalign valloc \
		malloc_usable_size mallctl mallctlbymib mallctlnametomib mallocx rallocx xallocx \
		sallocx dallocx sdallocx nallocx malloc_stats_print malloc_conf malloc_message \
		_Znwm _ZdlPv; do
		echo "$name" "je_$name"
	done >"$scratch/names"
	objcopy --redefine-syms="$scratch/names" "$archive" "$scratch/libje.a"
	compile -shared -o "$scratch/libje.so" -Wl,--whole-archive "$scratch/libje.a" \
		-Wl,--no-whole-archive -lm -ldl -lstdc++
	compile -DALLOCATE=je_malloc -DRELEASE=je_free -o "$scratch/prefixed" "$subject" \
		"$scratch/libje.so" -Wl,-rpath,"$scratch"
fi

# Names without the rest, of another version, and from two objects: each call ends the program.
for what in HALF OLD MI_OLD GOOGLE SPLIT_A SPLIT_B TC_HALF TC_REST TC_SERVES CONF; do
	compile -fPIC -shared -D"$what" -o "$scratch/false-$what.so" "$here/allocators-false.c"
done

compile -Wl,--build-id -DGOOGLE -o "$scratch/google-linked" "$subject" "$here/allocators-false.c"

export MEMGUARD_AGENT=auto
python3 "$here/hook-allocators.py" "$hook" "$scratch" || bad=1

exit "$bad"
