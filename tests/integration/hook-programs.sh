#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs the hook cannot or must not work in run as they did: without libc, static,
# set-uid; and a hook that is named twice is there once.
#
# shellcheck disable=SC2016 # the $ of the assembler

. "$(dirname "$0")/hook-lib.sh"

build_subject
export MEMGUARD_AGENT=auto

# A program that the loader starts, but that has no libc to find any name in.
case $(uname -m) in
x86_64)
	enter='mov $1,%edi; lea text(%rip),%rsi; mov $6,%edx; mov $1,%eax; syscall; mov $42,%edi; mov $60,%eax; syscall'
	;;
aarch64)
	enter='mov x0,1; adr x1,text; mov x2,6; mov x8,64; svc 0; mov x0,42; mov x8,93; svc 0'
	;;
*)
	enter=
	;;
esac

if [ -n "$enter" ]; then
	printf '.globl _start\n.text\n_start: %s\ntext: .ascii "alone\\n"\n.section .note.GNU-stack,"",%%progbits\n' \
		"$enter" >"$scratch/alone.s"
	# shellcheck disable=SC2086 # the compiler may be several words
	$cc -nostdlib -pie -Wl,--no-as-needed -Wl,-dynamic-linker="$(
		readelf -lW "$subject" | sed -n 's/.*interpreter: \(.*\)\]/\1/p'
	)" -o "$scratch/alone" "$scratch/alone.s"
	for mode in auto always; do
		r=0
		MEMGUARD_AGENT=$mode hooked "$scratch/alone" >"$scratch/out" 2>&1 || r=$?
		same "row 1: a program without libc runs with MEMGUARD_AGENT=$mode" "$r $(cat "$scratch/out")" "42 alone"
	done
	if readelf -lW "$scratch/alone" | grep -q INTERP; then
		pass "and it was the loader that started it"
	else
		fail "and it was the loader that started it"
	fi
else
	skip "row 1: a program without libc runs" "no assembler text for $(uname -m)"
fi

# shellcheck disable=SC2086
if $cc -std=gnu11 -D_GNU_SOURCE -static -pthread -o "$scratch/static" "$here/hook-subject.c" \
	2>"$scratch/err"; then
	same "row 3: a static program is left alone" \
		"$(hooked "$scratch/static" thread 2>&1) $(hooked "$scratch/static" mapped)" \
		"create 0 tasks 2 euid $(id -u) mapped no"
else
	skip "row 3: a static program is left alone" "there is no static libc here"
fi

# It has names of its own that libc has as well, and in its sight the linker prefers them.
for own in 'long syscall(long n)' 'unsigned long getauxval(unsigned long n)'; do
	name=${own%(*}
	name=${name##* }
	printf '#include <pthread.h>\n#include <stdio.h>\n#include <stdlib.h>\n%s\n%s\n%s\n' \
		"$own { puts(\"mine\"); exit(n == 0 ? 1 : 2); }" \
		'static void *nothing(void *arg) { return arg; }' \
		'int main(void) { pthread_t t; return pthread_create(&t, 0, nothing, 0) || pthread_join(t, 0) || puts("theirs") < 0; }' \
		>"$scratch/own.c"
	# shellcheck disable=SC2086
	$cc -rdynamic -pthread -o "$scratch/own" "$scratch/own.c"
	for mode in auto always off; do
		r=0
		MEMGUARD_AGENT=$mode hooked "$scratch/own" >"$scratch/out" 2>&1 || r=$?
		same "row 44: a program's own $name() is not called with MEMGUARD_AGENT=$mode" \
			"$r $(cat "$scratch/out")" "0 theirs"
	done
done

same "row 7: a hook named twice is there once" \
	"$(env LD_PRELOAD="$hook:$hook" "$subject" thread 2>&1)" "$(hooked "$subject" thread 2>&1)"
ln -s "$hook" "$scratch/libmemguard-hook-again.so"
same "row 7: and so is one named by two paths" \
	"$(env LD_PRELOAD="$hook $scratch/libmemguard-hook-again.so" "$subject" thread 2>&1)" \
	"$(hooked "$subject" thread 2>&1)"
# A copy is another library: both interpose, and each has its thread, but all works.
cp "$hook" "$scratch/libmemguard-hook-copy.so"
r=0
env LD_PRELOAD="$hook:$scratch/libmemguard-hook-copy.so" "$subject" agent >"$scratch/out" 2>&1 || r=$?
same "row 7: two copies do not harm each other" "$r $(cat "$scratch/out")" "0 agent yes"


for allocator in libjemalloc.so.2 libmimalloc.so.2 libtcmalloc_minimal.so.4; do
	if [ -n "$(LD_PRELOAD=$allocator true 2>&1)" ]; then
		skip "row 7, row 22: beside $allocator threads and forks work" "it is not installed"
		continue
	fi
	for preload in "$hook:$allocator" "$allocator:$hook"; do
		same "row 7, row 22: $([ "${preload%%:*}" = "$hook" ] && echo before || echo behind) $allocator threads and forks work" \
			"$(env LD_PRELOAD="$preload" "$subject" storm 2>&1) $(env LD_PRELOAD="$preload" "$subject" agent 2>&1)" \
			"bad 0 agent $(grep -q '^Seccomp:[[:space:]]*0$' /proc/self/status && echo yes || echo no)"
	done
done

if have python3; then
	cat >"$scratch/unload.py" <<-'EOF'
		import _ctypes, ctypes, sys, threading
		for _ in range(100):
		    library = ctypes.CDLL(sys.argv[1])
		    _ctypes.dlclose(library._handle)
		thread = threading.Thread(target=print, args=["done"])
		thread.start()
		thread.join()
		print(sys.argv[1] in open("/proc/self/maps").read())
	EOF
	same "row 30: dlclose() leaves it where it is" "$(python3 "$scratch/unload.py" "$hook" 2>&1 | sort | tr '\n' ' ')" \
		"True done "
else
	skip "row 30: dlclose() leaves it where it is" "there is no python3"
fi

# The loader maps any object; an empty one shows what is not the hook's doing.
# shellcheck disable=SC2086
echo 'int nothing;' | $cc -shared -fPIC -nostdlib -o "$scratch/empty.so" -x c -
calls()
{
	strace -f -o "$scratch/calls" -E LD_PRELOAD="$1" "$subject" count >/dev/null 2>&1 || return 1
	sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$scratch/calls" | grep -v '^mmap$'
}
if have strace && calls "$scratch/empty.so" >"$scratch/calls.empty"; then
	calls "$hook" >"$scratch/calls.hook"
	same "its start makes no system call but getpid()" \
		"$(diff "$scratch/calls.empty" "$scratch/calls.hook" | grep '^[<>]' | tr '\n' ' ')" "> getpid "
else
	skip "its start makes no system call but getpid()" "there is no strace that works"
fi

same "errno is the program's" "$(hooked "$subject" errno 2>&1)" "$("$subject" errno 2>&1)"

if is_root && have setpriv; then
	mkdir "$scratch/door"
	chmod 0755 "$scratch" "$scratch/door"
	cp "$subject" "$scratch/door/raised"
	cp "$hook" "$scratch/door/libmemguard-hook.so"
	chmod 4755 "$scratch/door/raised"
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		env LD_PRELOAD="$scratch/door/libmemguard-hook.so" "$scratch/door/raised" mapped \
		>"$scratch/out" 2>&1 || :
	# Where the file system is nosuid it is an ordinary program, and has the hook.
	if grep -q 'euid 65534' "$scratch/out"; then
		skip "a set-uid program does not get the hook" "set-uid has no effect in $scratch"
	else
		same "row 4: a set-uid program does not get the hook, and says nothing of it" \
			"$(cat "$scratch/out")" "euid 0 mapped no"
	fi
else
	skip "row 4: a set-uid program does not get the hook" "needs root and setpriv"
fi

exit "$bad"
