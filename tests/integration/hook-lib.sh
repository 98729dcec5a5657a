# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh disable=SC2034 # used by those that read this
#
# What the hook-*.sh tests share. They look at the hook from the program's side: no daemon,
# no root (claims that need it are skipped by name). HOOK names the object, by default
# libmemguard-hook.so in the current directory.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
hook=${HOOK:-libmemguard-hook.so}
bad=0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What the caller's own environment says must not decide a test.
unset LD_PRELOAD MEMGUARD MEMGUARD_AGENT MEMGUARD_MALLOPT SYSTEMD_EXEC_PID GLIBC_TUNABLES
unset MALLOC_ARENA_MAX MALLOC_MMAP_THRESHOLD_ MALLOC_TRIM_THRESHOLD_ MALLOC_TOP_PAD_
# Nobody answers there, and a daemon of the machine is left alone.
# Nobody is there, but the way to it is open to all, as that to /run is: else the agent leaves.
chmod 755 "$scratch"
export MEMGUARD_SOCKET="$scratch/nobody.sock"

if [ ! -r "$hook" ]; then
	echo "not ok - there is no hook \"$hook\": build it, or set HOOK"
	exit 1
fi
hook=$(cd "$(dirname "$hook")" && pwd)/$(basename "$hook")

pass()
{
	echo "ok - $1"
}

# @1: the claim; @2: a file that shows what happened instead.
fail()
{
	echo "not ok - $1"
	[ $# -lt 2 ] || sed 's/^/# /' "$2"
	bad=1
}

skip()
{
	echo "ok - $1 # SKIP $2"
}

skip_all()
{
	echo "skip: $1"
	exit 77
}

# @1: the claim; @2: what is; @3: what should be.
same()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		printf 'is:        %s\nshould be: %s\n' "$2" "$3" >"$scratch/same"
		fail "$1" "$scratch/same"
	fi
}

hooked()
{
	env LD_PRELOAD="$hook" "$@"
}

have()
{
	command -v "$1" >/dev/null
}

is_root()
{
	[ "$(id -u)" -eq 0 ]
}

need_compiler()
{
	cc=${CC:-cc}
	have "${cc%% *}" || skip_all "there is no compiler \"$cc\""
}

# @1: tests/integration/hook-@1.c becomes $scratch/@1; the rest: more flags.
build()
{
	need_compiler
	name=$1
	shift
	# shellcheck disable=SC2086 # the compiler may be several words
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread \
		-o "$scratch/$name" "$here/hook-$name.c" "$@"
}

# The program under test: tests/integration/hook-subject.c as $subject.
build_subject()
{
	build subject
	subject=$scratch/subject
}

# And hook-leaver.c as $leaver.
build_leaver()
{
	build leaver
	leaver=$scratch/leaver
}

# Under a filter the hook keeps still, so there is nothing to be seen of its agent.
need_agent()
{
	grep -q '^Seccomp:[[:space:]]*0$' /proc/self/status ||
		skip_all "this process has a system call filter, under which the hook does nothing"
}

# All tests are worth nothing if the hook is not there.
if ! hooked grep -qF "$hook" /proc/self/maps 2>"$scratch/err" || [ -s "$scratch/err" ]; then
	fail "the loader takes \"$hook\"" "$scratch/err"
	exit 1
fi
