#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that replay fails on a wrong expectation and on what it cannot read, and that it
# then names file and line. Takes the replay program.

set -eu

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
	echo "Usage: $0 REPLAY-PROGRAM" >&2
	exit 2
fi

replay=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# check CLAIM STATUS TEXT: the file on standard input gives this status and says this.
check() {
	n=$((n + 1))
	cat > "$dir/test.round"
	status=0
	"$replay" "$dir/test.round" > "$dir/out" 2>&1 || status=$?
	if [ "$status" -eq "$2" ] && grep -qF -e "$3" "$dir/out"; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "# exit $status, not $2, or no \"$3\" in:"
		sed 's/^/# /' "$dir/out"
		failed=1
	fi
}

check 'a right expectation passes' 0 'ok 1 - test.round' << END
now_usec = 1s
expect.reason = below
END
check 'a wrong state fails' 1 'expect.gate_state is "calm", expected "high"' << END
now_usec = 1s
expect.gate_state = high
END
check 'a wrong reason fails' 1 'expect.reason is "below"' << END
now_usec = 1s
expect.reason = usage-high
END
check 'acting where nothing was to be done fails' 1 'expect.act is "yes", expected "no"' << END
now_usec = 1s
command = yes
member.7.process.rss_bytes = 1M
expect.act = no
END
check 'other picks fail' 1 'expect.picks is "7", expected "8"' << END
now_usec = 1s
command = yes
member.7.process.rss_bytes = 1M
expect.picks = 8
END
check 'a wrong first step fails although the last is right' 1 'test.round:4: step 1:' << END
now_usec = 1s
expect.gate_state = high

step
expect.gate_state = calm
END
check 'a command does not leak into the next step' 0 'ok 1' << END
now_usec = 1s
command = yes
member.7.process.rss_bytes = 1M
expect.act = yes

step
expect.act = no
END
check 'a step that expects nothing is an error' 1 'test.round:1: this step expects' << END
now_usec = 1s
END
check 'an unknown key is an error' 1 'test.round:2: no such key: "reading.anon"' << END
now_usec = 1s
reading.anon = 1M
END
check 'an unknown expectation is an error' 1 'test.round:2: no such key: "expect.pick"' << END
now_usec = 1s
expect.pick = 1
END
check 'an unknown member field is an error' 1 'test.round:1: no such key: "rss"' << END
member.7.rss = 1M
END
check 'a bad process id is an error' 1 'test.round:1: not a process id: "x"' << END
member.x.n_failed = 1
END
check 'a bad value is an error' 1 'test.round:1: not a value for this key: "80X"' << END
settings.usage_high_permyriad = 80X
END
check 'a line that is none is an error' 1 'test.round:2: a line is' << END
# comment
stepp
END
check 'a step without a clock is an error' 1 'test.round:1: the first step must say' << END
expect.reason = below
END
check 'an empty file is an error' 1 'this step expects nothing' < /dev/null

n=$((n + 1))
if "$replay" "$dir/missing.round" > "$dir/out" 2>&1 || "$replay" > "$dir/out" 2>&1; then
	echo "not ok $n - a missing file or none is an error"
	failed=1
else
	echo "ok $n - a missing file or none is an error"
fi

echo "1..$n"
exit "$failed"
