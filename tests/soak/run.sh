#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One release after the other in a program that allocates, forks and starts threads all the
# time, and watches every byte. Prints what was done; a changed byte or a hang fails.
#
#	tests/soak/run.sh BUILD [--releases=N] [--seconds=S]
#
# Ends with whichever is reached first, or with SIGTERM; by default after 20 seconds. A long
# one tells each minute how far it is. SOAK_SEED makes it differ.

set -eu

usage()
{
	echo "usage: run.sh BUILD [--releases=N] [--seconds=S]" >&2
	exit 2
}

[ $# -ge 1 ] || usage
# shellcheck disable=SC2034 # for hook-lib.sh
HOOK=$1/libmemguard-hook.so
shift
releases=
seconds=
for argument; do
	case $argument in
	--releases=?*) releases=${argument#*=} ;;
	--seconds=?*) seconds=${argument#*=} ;;
	*) usage ;;
	esac
done
[ -n "$releases$seconds" ] || seconds=20

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../integration/hook-lib.sh"

need_agent
need_compiler
have python3 || skip_all "there is no python3"

# shellcheck disable=SC2086 # the compiler may be several words
$cc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pthread -o "$scratch/soak" "$here/soak.c"

export MEMGUARD_AGENT=auto
python3 "$here/soak.py" "$hook" "$scratch/soak" "$scratch" "${releases:-inf}" "${seconds:-inf}" &
soaking=$!
trap 'kill "$soaking"' TERM INT
# The signal ends the first wait, not the soak.
while :; do
	wait "$soaking" && status=0 || status=$?
	kill -0 "$soaking" 2>/dev/null || break
done
exit "$status"
