#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-pure.sh fails on what it is there for, and when it cannot look. CC, NM
# and AR say with what (each may be several words).

set -eu

check_pure=$(dirname "$0")/check-pure.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
nm=${NM:-nm}
n=0
failed=0

# compile NAME: the C on standard input to NAME.o
compile() {
	cat > "$dir/$1.c"
	${CC:-cc} -O1 -fno-stack-protector -U_FORTIFY_SOURCE -c "$dir/$1.c" -o "$dir/$1.o"
}

# check CLAIM STATUS TEXT FILE...: check-pure gives this status on the files and says this.
check() {
	n=$((n + 1))
	claim=$1 expected=$2 text=$3
	shift 3
	status=0
	NM=$nm sh "$check_pure" "$@" > "$dir/out" 2>&1 || status=$?
	if [ "$status" -eq "$expected" ] && grep -qF -e "$text" "$dir/out"; then
		echo "ok $n - $claim"
	else
		echo "not ok $n - $claim"
		echo "# exit $status, not $expected, or no \"$text\" in:"
		sed 's/^/# /' "$dir/out"
		failed=1
	fi
}

compile pure << END
#include <string.h>
int other(int);
int gate_step(int *a, const int *b, unsigned long n);
int gate_step(int *a, const int *b, unsigned long n) { memcpy(a, b, n); return other(*a); }
END
compile other << END
int other(int);
int other(int x) { return x + 1; }
END
compile clock << END
#include <time.h>
long gate_step(void);
long gate_step(void) { return (long) time(0); }
END
compile sort << END
#include <stdlib.h>
static int f(const void *a, const void *b) { return *(const int *) a - *(const int *) b; }
void pick_members(int *a);
void pick_members(int *a) { qsort(a, 9, sizeof(*a), f); }
END
compile state << END
extern int errno_of_somebody;
int peek(void);
int peek(void) { return errno_of_somebody; }
END
compile weak << END
extern long time(long *) __attribute__((weak));
long peek_time(void);
long peek_time(void) { return time ? time(0) : 0; }
END
compile data << END
int only_data = 1;
END
${AR:-ar} rcs "$dir/pure.a" "$dir/pure.o" "$dir/other.o"
${AR:-ar} rcs "$dir/impure.a" "$dir/pure.o" "$dir/other.o" "$dir/state.o" "$dir/sort.o"
${AR:-ar} rcs "$dir/empty.a"

check 'pure objects pass' 0 'nothing impure' "$dir/pure.o" "$dir/other.o"
check 'a pure archive passes' 0 'nothing impure' "$dir/pure.a"
check 'a clock is found' 1 'calls time()' "$dir/clock.o"
check 'a clock beside pure objects is found' 1 'calls time()' "$dir/pure.a" "$dir/clock.o"
check 'a weak reference is found' 1 'calls time()' "$dir/weak.o"
check 'qsort in an archive is found' 1 'calls qsort()' "$dir/impure.a"
check 'foreign state is found' 1 'calls errno_of_somebody()' "$dir/impure.a"
check 'a call that nobody defines is found' 1 'calls other()' "$dir/pure.o"
check 'a missing file is a failure' 1 'cannot look' "$dir/missing.a"
check 'an empty archive is a failure' 1 'nothing was checked' "$dir/empty.a"
check 'an object without functions is a failure' 1 'nothing was checked' "$dir/data.o"
check 'a text file is a failure' 1 'check-pure:' "$dir/clock.c"
check 'no argument is a failure' 2 'Usage'

nm="$nm -B"
check 'NM may be two words' 1 'calls time()' "$dir/clock.o"
nm=/nonexistent/nm
check 'a missing nm is a failure' 1 'cannot look' "$dir/pure.a"
nm=true
check 'an nm that says nothing is a failure' 1 'nothing was checked' "$dir/pure.a"

echo "1..$n"
exit "$failed"
