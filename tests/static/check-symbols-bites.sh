#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-symbols.sh can fail: small objects, each wrong in one way, must be
# refused for just that, and one that is right must pass. $CC may be several words.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
sym=$here/../../libhook/memguard-hook.sym
cc=${CC:-cc}
nodelete=,-z,nodelete
bad=0

if ! command -v "${cc%% *}" >/dev/null; then
	echo "skip: there is no compiler \"$cc\""
	exit 77
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cat >"$scratch/base.text" <<'EOF'
extern long syscall(long, ...);
#pragma weak syscall
static void *volatile pointer = (void *)&syscall;
__attribute__((constructor)) static void load(void)
{
	if (pointer && syscall)
		(void)syscall(39);
}
__attribute__((visibility("default"))) int pthread_create(void)
{
	return pointer != 0;
}
EOF

# @1: name of the object; @2: more source; the rest: more flags. The flags of the
# makefile come first, so that later ones can undo them.
build()
{
	name=$1
	{
		cat "$scratch/base.text"
		printf '%s\n' "$2"
	} >"$scratch/$name.c"
	shift 2
	# shellcheck disable=SC2086 # the compiler may be several words
	$cc -std=gnu11 -O2 -fPIC -ffreestanding -fvisibility=hidden -fno-stack-protector \
		-fno-asynchronous-unwind-tables -shared -nostdlib \
		-Wl,--version-script="$sym" -Wl,-z,relro,-z,now"$nodelete",-z,noexecstack \
		-o "$scratch/$name.so" "$scratch/$name.c" "$@"
}

# @1: object; @2: the claim that must not hold.
refused()
{
	if "$here/check-symbols.sh" "$1" >"$scratch/out" 2>&1; then
		echo "not ok - passes although not: $2"
		bad=1
	elif [ "$(grep '^not ok - ' "$scratch/out")" != "$(grep "^not ok - $2" "$scratch/out")" ]; then
		echo "not ok - refused, but not only for: $2"
		sed 's/^/# /' "$scratch/out"
		bad=1
	else
		echo "ok - refused when not: $2"
	fi
}

build right ''
if "$here/check-symbols.sh" "$scratch/right.so" >"$scratch/out" 2>&1; then
	echo "ok - a right one passes"
else
	echo "not ok - a right one is refused:"
	sed 's/^/# /' "$scratch/out"
	bad=1
fi

build needed '' -Wl,--no-as-needed -lc
refused "$scratch/needed.so" 'it needs no library'

build runpath '' -Wl,-rpath,/nowhere
refused "$scratch/runpath.so" 'it has no search path'

build destructor '__attribute__((destructor)) static void unload(void) { pointer = 0; }'
refused "$scratch/destructor.so" 'nothing runs when it is unloaded'

build lazy '' -Wl,-z,lazy
refused "$scratch/lazy.so" 'all is bound at start'

# The linker cannot take -z nodelete back, so this one is made without it.
nodelete=
build deletable ''
nodelete=,-z,nodelete
refused "$scratch/deletable.so" 'it is never unmapped'

# Initial-exec, or the compiler would call __tls_get_addr, which is another fault.
build tls '__attribute__((tls_model("initial-exec"))) static __thread volatile int here;
__attribute__((constructor)) static void touch(void) { here = 1; }'
refused "$scratch/tls.so" 'it has no thread-local storage'

build stack '' -Wl,-z,execstack
refused "$scratch/stack.so" '\(nothing is writable and executable\|its stack is not executable\)'

build norelro '' -Wl,-z,norelro
refused "$scratch/norelro.so" 'relocated data is read-only afterwards'

build strong 'extern void *malloc(unsigned long);
__attribute__((constructor)) static void take(void) { pointer = malloc(1); }'
refused "$scratch/strong.so" 'all it imports is weak'

build unlisted 'extern int system(const char *);
#pragma weak system
__attribute__((constructor)) static void take(void) { pointer = (void *)&system; }'
refused "$scratch/unlisted.so" 'libhook/weak.h lists all it imports'

many=
for i in 0 1 2 3 4 5 6 7 8 9; do
	for j in 0 1 2 3; do
		many="$many extern int n$i$j(void);
#pragma weak n$i$j
__attribute__((constructor)) static void take$i$j(void) { pointer = (void *)&n$i$j; }
"
	done
done
build many "$many"
refused "$scratch/many.so" \
	'\(libhook/weak.h lists all it imports\|the loader has few names to look up\)'

sed 's/pthread_create;/pthread_create; leaked;/' "$sym" >"$scratch/leak.sym"
sym=$scratch/leak.sym
build leak '__attribute__((visibility("default"))) int leaked(void) { return 1; }'
sym=$here/../../libhook/memguard-hook.sym
refused "$scratch/leak.so" 'it exports what libhook/memguard-hook.sym lists'

build large 'static const volatile char much[70000] = { 1 };
__attribute__((constructor)) static void touch(void) { pointer = (void *)&much[much[0]]; }'
refused "$scratch/large.so" 'it is small'

build wide 'static volatile char much[70000];
__attribute__((constructor)) static void touch(void) { much[5] = 1; }'
refused "$scratch/wide.so" 'it is small'

echo 'not an object' >"$scratch/text.so"
for object in "$scratch/text.so" "$scratch/missing.so"; do
	refused "$object" '.*can read'
done

if READELF=false "$here/check-symbols.sh" "$scratch/right.so" >"$scratch/out" 2>&1; then
	echo "not ok - passes without a readelf that works"
	bad=1
else
	echo "ok - fails without a readelf that works"
fi

exit "$bad"
