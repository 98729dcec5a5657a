#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the loader makes of the hook where it does not fit: another libc, raised privileges,
# a library that is missing, foreign, replaced or may not be mapped; and programs that do
# not want to be preloaded.

. "$(dirname "$0")/hook-lib.sh"

build_subject
export MEMGUARD_AGENT=auto

# One line on standard error, and the program goes on: what the loader does with a library
# that it cannot load. @1: the claim, @2: why, as the loader says; the rest: a command that
# prints "went on" and exits with 3.
complains()
{
	claim=$1
	why=$2
	shift 2
	r=0
	"$@" >"$scratch/out" 2>"$scratch/err" || r=$?
	same "$claim" \
		"$r $(cat "$scratch/out") $(wc -l <"$scratch/err") $(grep -c "cannot be preloaded ($why" "$scratch/err")" \
		"3 went on 1 1"
}

# @1: the claim; the rest: as above, and nothing on standard error.
is_silent()
{
	claim=$1
	shift
	r=0
	"$@" >"$scratch/out" 2>"$scratch/err" || r=$?
	same "$claim" "$r $(cat "$scratch/out" "$scratch/err")" "3 went on"
}

#
# Row 2: musl has few of the names that are weak in the hook, and other structures.
#

# build_musl NAME : hook-NAME.c as $scratch/musl-NAME.
build_musl()
{
	musl-gcc -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$scratch/musl-$1" "$here/hook-$1.c" 2>"$scratch/err"
}

if have musl-gcc && build_musl subject && build_musl leaver &&
	"$scratch/musl-subject" count >"$scratch/out" 2>&1; then
	same "row 2: the program is one of musl, and its loader takes the hook" \
		"$(readelf -lW "$scratch/musl-subject" | grep -c 'interpreter:.*ld-musl') $(hooked "$scratch/musl-subject" mapped 2>&1)" \
		"1 euid $(id -u) mapped yes"
	for thing in count errno exit limit-as limit-nofile limit-stack signals storm leave leave-thrd leave-cancel; do
		r=0 r_with=0 program=$scratch/musl-subject
		case $thing in
		leave*) program=$scratch/musl-leaver ;;
		esac
		"$program" $thing >"$scratch/plain" 2>&1 || r=$?
		hooked "$program" $thing >"$scratch/with" 2>&1 || r_with=$?
		# "exit" waits for an agent, which without the hook does not come.
		[ $thing != exit ] || r=7
		[ $thing != exit ] || : >"$scratch/plain"
		same "row 2: a musl program does the same with the hook ($thing)" \
			"$r_with $(cat "$scratch/with")" "$r $(cat "$scratch/plain")"
	done
	same "row 2: a forked child of it too" "$(hooked "$scratch/musl-subject" fork 2>&1 | cut -d' ' -f1-5)" \
		"child before 1 create 0"
	if is_root; then
		same "row 2: and all its threads change their ids" \
			"$(hooked "$scratch/musl-subject" setuid 2>&1 | sort -u | tr -d '\t' | tr '\n' ' ')" \
			"CapEff:0000000000000000 Uid:65534655346553465534 "
	fi
else
	skip "row 2: a musl program does the same with the hook" "there is no musl-gcc, or no loader of musl"
fi

#
# Row 4: the loader does not preload into a program that gains something by exec.
#

if is_root && have setpriv && have setcap; then
	mkdir "$scratch/door"
	chmod 0755 "$scratch" "$scratch/door"
	cp "$subject" "$scratch/door/able"
	cp "$hook" "$scratch/door/libmemguard-hook.so"
	setcap cap_net_bind_service=ep "$scratch/door/able" 2>/dev/null || :
	as_nobody()
	{
		setpriv --reuid=65534 --regid=65534 --clear-groups \
			env LD_PRELOAD="$scratch/door/libmemguard-hook.so" "$@"
	}
	# One that has it all the same, as by the list for all programs: it is linked with it.
	# shellcheck disable=SC2086 # the compiler may be several words
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$scratch/door/linked" "$here/hook-subject.c" \
		-Wl,--no-as-needed "$scratch/door/libmemguard-hook.so"
	for raised in set-uid able-linked; do
		cp "$scratch/door/linked" "$scratch/door/$raised"
	done
	chmod 4755 "$scratch/door/set-uid"
	setcap cap_net_bind_service=ep "$scratch/door/able-linked" 2>/dev/null || :
	# @1: one of these; is it there, and how many threads has one that makes a thread?
	all_the_same()
	{
		for thing in mapped thread; do
			setpriv --reuid=65534 --regid=65534 --clear-groups \
				env MEMGUARD_AGENT=always "$scratch/door/$1" $thing 2>&1
		done | tr '\n' ' '
	}
	same "row 4: a hook that a program is linked with is at work" "$(all_the_same linked)" \
		"euid 65534 mapped yes create 0 tasks 3 "
	if [ "$("$scratch/door/set-uid" mapped)" = "$(as_nobody "$scratch/door/set-uid" mapped)" ]; then
		same "row 4: where the program is set-uid it does nothing" "$(all_the_same set-uid)" \
			"euid 0 mapped yes create 0 tasks 2 "
	else
		skip "row 4: where the program is set-uid it does nothing" "set-uid has no effect in $scratch"
	fi

	if [ -n "$(as_nobody "$scratch/door/able" effective 2>/dev/null)" ]; then
		same "row 4: and where it has file capabilities" "$(all_the_same able-linked)" \
			"euid 65534 mapped yes create 0 tasks 2 "
		same "row 4: a program with file capabilities does not get the hook, and says nothing of it" \
			"$(as_nobody "$scratch/door/able" mapped 2>&1)" "euid 65534 mapped no"
		same "row 4: the same program without them does" \
			"$(as_nobody "$subject" mapped 2>&1)" "euid 65534 mapped yes"
	else
		skip "row 4: a program with file capabilities does not get the hook" \
			"they have no effect in $scratch"
	fi
else
	skip "row 4: a program with file capabilities does not get the hook" "needs root, setpriv and setcap"
fi

#
# Row 5: a library that cannot be loaded costs one line on standard error, never the program.
#

complains "row 5: a missing library costs one line, and the program runs" "cannot open shared object" \
	env LD_PRELOAD="$scratch/missing.so" sh -c 'echo went on; exit 3'

# shellcheck disable=SC2086 # the compiler may be several words
if echo 'int nothing;' | $cc -m32 -shared -fPIC -nostdlib -o "$scratch/narrow.so" -x c - 2>/dev/null; then
	complains "row 5: a library of another word size does too" "wrong ELF class" \
		env LD_PRELOAD="$scratch/narrow.so" sh -c 'echo went on; exit 3'
else
	skip "row 5: a library of another word size does too" "the compiler makes one kind only"
fi
echo '#include <stdio.h>
int main(void) { puts("went on"); return 3; }' >"$scratch/narrow.c"
# shellcheck disable=SC2086
if $cc -m32 -o "$scratch/narrow" "$scratch/narrow.c" 2>/dev/null &&
	{ "$scratch/narrow" >/dev/null 2>&1 || [ $? -eq 3 ]; }; then
	complains "row 5: so does our library in a 32-bit child" "wrong ELF class" hooked "$scratch/narrow"
else
	skip "row 5: so does our library in a 32-bit child" "no 32-bit program can be made and run here"
fi

# shellcheck disable=SC2086
echo 'int nothing;' | $cc -shared -fPIC -nostdlib -o "$scratch/empty.so" -x c -

# @1: a program; it and its libraries go to $scratch/jail.
jail()
{
	cp --parents -L "$1" "$(readelf -lW "$1" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')" "$scratch/jail"
	ldd "$1" | sed -n 's|.*=> \(/[^ ]*\) .*|\1|p' | while read -r library; do
		cp --parents -L "$library" "$scratch/jail"
	done
}
mkdir "$scratch/jail"
if is_root && jail /bin/sh 2>"$scratch/err" && chroot "$scratch/jail" /bin/sh -c : 2>"$scratch/err"; then
	complains "row 5: a child in a chroot that lacks the library runs" "cannot open shared object" \
		hooked chroot "$scratch/jail" /bin/sh -c 'echo went on; exit 3'
	mkdir -p "$scratch/jail$(dirname "$hook")"
	cp "$hook" "$scratch/jail$hook"
	is_silent "row 5: where it has it there is no line" \
		hooked chroot "$scratch/jail" /bin/sh -c 'echo went on; exit 3'
else
	skip "row 5: a child in a chroot that lacks the library runs" "needs root, and a chroot that works"
fi

#
# Rows 5, 49: the library goes while a program with it runs.
#

cp "$hook" "$scratch/goes.so"
mkfifo "$scratch/in"
env LD_PRELOAD="$scratch/goes.so" sh -c 'while read -r line; do eval "$line"; done; exit 3' \
	<"$scratch/in" >"$scratch/out" 2>"$scratch/err" &
pid=$!
exec 9>"$scratch/in"
wait_line()
{
	tries=2400
	until grep -q "$1" "$scratch/out"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] && kill -0 "$pid" || return 1
		sleep 0.05
	done
}
trap '' PIPE
echo '/bin/true; echo there' >&9
wait_line there || :
rm "$scratch/goes.so"
echo '/bin/true; echo gone' >&9
wait_line gone || :
cp "$scratch/empty.so" "$scratch/goes.so"
echo '/bin/true; echo stub' >&9
wait_line stub || :
exec 9>&-
r=0
wait "$pid" || r=$?
same "row 5: without its library a running program goes on; what it starts says so" \
	"$r $(tr '\n' ' ' <"$scratch/out")$(wc -l <"$scratch/err") $(grep -c 'cannot be preloaded' "$scratch/err")" \
	"3 there gone stub 1 1"
same "row 49: an empty object in its place keeps that silent" "$(tail -n 1 "$scratch/out")" stub

#
# Row 6: replaced by a rename while programs start all the time.
#

cp "$hook" "$scratch/storm.so"
# shellcheck disable=SC2016 # for the shells inside
storm='i=0; while [ $i -lt 250 ]; do "$1" count || echo "ended with $?"; i=$((i + 1)); done'
for n in 1 2 3 4; do
	env LD_PRELOAD="$scratch/storm.so" sh -c "$storm" sh "$subject" >"$scratch/storm.$n" 2>&1 &
	eval "pid_$n=$!"
done
n_renames=0
# shellcheck disable=SC2154 # made by eval
while kill -0 "$pid_1" 2>/dev/null; do
	cp "$hook" "$scratch/storm.new"
	mv "$scratch/storm.new" "$scratch/storm.so"
	n_renames=$((n_renames + 1))
	sleep 0.01
done
# shellcheck disable=SC2154
wait "$pid_1" "$pid_2" "$pid_3" "$pid_4"
cat "$scratch"/storm.[1-4] >"$scratch/out"
same "row 6: 1000 programs start while the library is replaced by renames" \
	"$(sort "$scratch/out" | uniq -c | sed 's/^ *//')" "1000 tasks 1"
[ "$n_renames" -gt 10 ] || fail "row 6: it was replaced more than 10 times meanwhile"

# Not only ours: what `make install` does. Two times, as an update would.
if [ -n "${top_builddir:-}" ] && have strace && have make && strace true 2>/dev/null; then
	: >"$scratch/calls"
	for n in 1 2; do
		MAKEFLAGS='' strace -f -o "$scratch/calls" -e trace=rename,renameat,renameat2,unlink,unlinkat,openat \
			make -C "$top_builddir" put-in-place DESTDIR="$scratch/root" >"$scratch/err" 2>&1 || :
	done
	grep -E '(rename|unlink|O_WRONLY|O_RDWR).*libmemguard-hook\.so".* = [0-9]' "$scratch/calls" \
		>"$scratch/out" || :
	same "row 6: make install puts it in place by a rename, and nothing else" \
		"$(sed 's/^[0-9]* *\([a-z]*\).*/\1/; s/^renameat2\{0,1\}$/rename/' "$scratch/out")" rename
else
	skip "row 6: make install puts it in place by a rename, and nothing else" "needs a build tree, make and strace"
fi

#
# Row 9: address sanitizer.
#

echo 'int main(void) { return 3; }' >"$scratch/sane.c"
# shellcheck disable=SC2086
if $cc -fsanitize=address -o "$scratch/sane" "$scratch/sane.c" 2>/dev/null &&
	readelf -dW "$scratch/sane" | grep -q 'NEEDED.*libasan'; then
	r=0
	hooked "$scratch/sane" >"$scratch/out" 2>&1 || r=$?
	same "row 9: a program whose sanitizer is a library refuses to run behind the hook, and says why" \
		"$r $(grep -c 'runtime does not come first' "$scratch/out")" "1 1"
	r=0
	ASAN_OPTIONS=verify_asan_link_order=0 hooked "$scratch/sane" >"$scratch/out" 2>&1 || r=$?
	same "row 9: with the option that memguard-hook(7) names it runs" "$r $(cat "$scratch/out")" "3 "
else
	skip "row 9: a program whose sanitizer is a library" "$cc does not make one"
fi
if have clang && clang -fsanitize=address -o "$scratch/sane" "$scratch/sane.c" 2>/dev/null; then
	r=0
	hooked "$scratch/sane" >"$scratch/out" 2>&1 || r=$?
	same "row 9: a program that has it linked in runs" "$r $(cat "$scratch/out")" "3 "
else
	skip "row 9: a program that has it linked in runs" "there is no clang with a runtime for it"
fi

#
# Row 47: a library that may not be executed is one that cannot be loaded.
#

if is_root && have unshare && unshare -m sh -c 'mount -t tmpfs -o noexec none "$1"' sh "$scratch/jail" \
	2>"$scratch/err"; then
	complains "row 47: from a noexec mount it is not loaded, and the program runs" "failed to map segment" \
		unshare -m sh -c 'mount -t tmpfs -o noexec none "$1" && cp "$2" "$1/hook.so" &&
			LD_PRELOAD=$1/hook.so exec sh -c "echo went on; exit 3"' sh "$scratch/jail" "$hook"
else
	skip "row 47: from a noexec mount it is not loaded, and the program runs" "needs root, and may not mount"
fi

exit "$bad"
