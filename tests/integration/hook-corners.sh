#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs that need to be alone in their process, or that pay for every page: sandboxes,
# namespaces, locked memory. Without a daemon.

. "$(dirname "$0")/hook-lib.sh"

need_agent
build corner
corner=$scratch/corner
export MEMGUARD_AGENT=auto

#
# Rows 13, 14: nothing was added that namespaces refuse.
#

"$corner" sandbox >"$scratch/plain" 2>&1 || :
if grep -q 'inside 7' "$scratch/plain"; then
	same "row 13: a program with one thread may still take namespaces of its own" \
		"$(hooked "$corner" sandbox 2>&1 | tr '\n' ' ')" "tasks 1 inside 7 "
else
	skip "row 13: a program with one thread may still take namespaces of its own" \
		"$(tail -n 1 "$scratch/plain")"
fi

if is_root && have nsenter && have unshare && unshare -m true 2>/dev/null; then
	# In mount namespaces of its own, and so is what enters it.
	# shellcheck disable=SC2016 # for the shell inside
	same "row 13: nsenter -m under the hook" \
		"$(unshare -m sh -c 'mount -t tmpfs none "$2" && : >"$2/inside" &&
			unshare -m sh -c "umount \"\$1\" && [ ! -e \"\$1/inside\" ] &&
				LD_PRELOAD=\$2 nsenter -m -t \$PPID ls \"\$1\"" sh "$2" "$1"' \
			sh "$hook" "$scratch" 2>&1)" inside
else
	skip "row 13: nsenter -m under the hook" "needs root, nsenter and unshare"
fi

box()
{
	bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev "$@"
}
if have bwrap && box true 2>"$scratch/err"; then
	same "row 13: bwrap and what it starts under the hook" \
		"$(hooked bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev \
			sh -c 'grep -q memguard-hook /proc/self/maps && echo "hook $$"' 2>&1)" "hook 2"
else
	skip "row 13: bwrap and what it starts under the hook" "it is missing, or may not"
fi

#
# Row 19: what libc does faster for one thread stays.
#

r=0
hooked "$corner" single >"$scratch/out" 2>&1 || r=$?
if [ "$r" -eq 77 ]; then
	skip "row 19: libc still sees a program with one thread" "another libc"
else
	same "row 19: libc still sees a program with one thread" "$r $(cat "$scratch/out")" "0 single 1"
fi

#
# Row 28: a filter may come after the first thread, and may kill for what the program does not do.
#

# Whatever the hook asks for the first thread, on the program's own.
n_asked()
{
	strace -f -o "$scratch/calls" -E LD_PRELOAD="$hook" "$corner" "$1" >/dev/null 2>&1 || return 1
	main=$(sed -n '1s/ .*//p' "$scratch/calls")
	grep -c "^$main *get[pt]id(" "$scratch/calls"
}
if have strace && first=$(n_asked retain </dev/null) && eight=$(n_asked addresses); then
	same "row 28: a thread after the first is made without a call of ours" "$eight" "$first"
else
	skip "row 28: a thread after the first is made without a call of ours" "there is no strace that works"
fi

#
# Rows 17, 27: where there is no agent, nothing is done for it either.
#

# @1: which corner; @2: the claim.
no_anchor()
{
	r=0
	hooked "$corner" "$1" >"$scratch/out" 2>&1 || r=$?
	if [ $r -eq 77 ]; then
		skip "$2" "no filter can be set here"
	else
		same "$2" "$r $(cat "$scratch/out")" "0 just its stack"
	fi
}
no_anchor filtered-child "row 27: a forked child under a filter makes threads without anchors"
no_anchor agent-gone "row 17: and so does a program that the agent has left"

#
# Row 26: bytes, where every page is locked.
#

# @1: which line; @2: a file. In KiB.
kib()
{
	sed -n "s/^$1:[[:space:]]*\([0-9]*\) kB/\1/p" "$2"
}
if "$corner" locked >"$scratch/plain" 2>&1; then
	hooked "$corner" locked >"$scratch/with" 2>&1
	MEMGUARD_AGENT=off hooked "$corner" locked >"$scratch/without" 2>&1
	for what in VmLck VmRSS; do
		object=$(($(kib $what "$scratch/without") - $(kib $what "$scratch/plain")))
		agent=$(($(kib $what "$scratch/with") - $(kib $what "$scratch/without")))
		# The hook itself: its object, all of it resident.
		if [ "$object" -gt 0 ] && [ "$object" -le 128 ]; then
			pass "row 26: $what of a program that locks its memory grows by at most 128 KiB"
		else
			fail "row 26: $what of a program that locks its memory grows by $object KiB for the object"
		fi
		if [ "$agent" -gt 0 ] && [ "$agent" -le 128 ]; then
			pass "row 26: and by at most 128 KiB for the agent"
		else
			fail "row 26: $what grows by $agent KiB for the agent"
		fi
	done
else
	skip "row 26: what is locked grows little" "$(cat "$scratch/plain")"
fi

# Those that a thread would not have taken.
same "row 25: address space that is limited stays the program's" "$(hooked "$corner" addresses 2>&1)" \
	"$("$corner" addresses 2>&1)"
same "row 25: also when the limit comes later" "$(hooked "$corner" addresses-later 2>&1)" \
	"$("$corner" addresses-later 2>&1)"
r=0
hooked "$corner" locked-later >"$scratch/out" 2>&1 || r=$?
if [ $r -eq 77 ]; then
	skip "row 26: nor does a thread lock an arena once memory is locked" "$(cat "$scratch/out")"
else
	same "row 26: nor does a thread lock an arena once memory is locked" "$r $(cat "$scratch/out")" \
		"0 just its stack"
fi
r=0
hooked "$corner" locked-page >"$scratch/out" 2>&1 || r=$?
if [ $r -eq 77 ]; then
	skip "row 26: a page that the program has locked keeps no thread from leaving an anchor" \
		"$(cat "$scratch/out")"
else
	same "row 26: a page that the program has locked keeps no thread from leaving an anchor" \
		"$r $(cat "$scratch/out")" "0 and an arena"
fi

#
# Row 52: what a thread has from the one that made it.
#

# @1: which corner; @2: the claim; @3: what it says.
inherits()
{
	r=0
	hooked "$corner" "$1" >"$scratch/out" 2>&1 || r=$?
	if [ $r -eq 77 ]; then
		skip "$2" "$(cat "$scratch/out")"
	else
		same "$2" "$r $(cat "$scratch/out")" "$3"
	fi
}
inherits no-clock "row 52: made by a thread that may not read the clock, the agent lives" "0 it looks"
inherits slack "row 52: its rests are no longer than usual where the program's timers may be late" \
	"0 ours 100000000 its 50000"

exit "$bad"
