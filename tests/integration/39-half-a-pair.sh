#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One of MmapThreshold= and TrimThreshold= in [Tune] is enough: the other follows in the program, unless
# its operator has set that.

. "$(dirname "$0")/lib.sh"

# After each line of input: KiB free at the top of the heap after 1.5 MiB were, and whether 600 KiB
# have a mapping of their own.
cat >"$scratch/subject.py" <<'EOF'
import ctypes, sys

NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = Info

for line in sys.stdin:
    before = libc.mallinfo2().hblks
    large = libc.malloc(600 << 10)
    mapped = libc.mallinfo2().hblks - before
    blocks = [libc.malloc(96 << 10) for i in range(16)]
    for block in reversed(blocks):
        libc.free(block)
    print(libc.mallinfo2().keepcost >> 10, mapped, flush=True)
EOF

# start_subject [VARIABLE=VALUE] : its pid in $subject; fd 9 is its standard input.
start_subject()
{
	rm -f "$scratch/in"
	mkfifo "$scratch/in"
	(hooked MEMGUARD_AGENT=always "$@" python3 "$scratch/subject.py" <"$scratch/in" >"$scratch/out") &
	subject=$!
	started+=("$subject")
	exec 9>"$scratch/in"
}

has_tuned()
{
	[ "$(ctl --json=short list "$subject" | jq -c '.[0].tuned')" = "$1" ]
}

# measure : its figures in $top and $mapped.
measure()
{
	echo >&9
	wait_for 20 test -s "$scratch/out"
	read -r top mapped <"$scratch/out"
	exec 9>&-
	wait "$subject"
}

# Both thresholds have their effect.
claim_both()
{
	measure
	claim "it keeps $top KiB" test "$top" -ge 1024
	claim "and gives 600 KiB no mapping" test "$mapped" = 0
}

both='["mmap_threshold","trim_threshold"]'
start_daemon '[Tune]\nMmapThreshold=1M\n'
claim "one of two is taken" eval '! logged MmapThreshold'
start_subject
claim "the program has the other, too" wait_for 20 has_tuned "$both"
claim_both

start_subject MALLOC_TRIM_THRESHOLD_=131072
claim "what its operator has set is left" wait_for 20 has_tuned '["mmap_threshold"]'
measure
claim "so that it keeps $top KiB" test "$top" -lt 1024
claim "and the one that is set has its effect" test "$mapped" = 0

configure '[Tune]\nTrimThreshold=2M\n'
claim "the other one alone is taken by a reload" ctl reload
start_subject
claim "the program has both again" wait_for 20 has_tuned "$both"
claim_both

start_subject MALLOC_MMAP_THRESHOLD_=131072
claim "what its operator has set is left here, too" wait_for 20 has_tuned '["trim_threshold"]'
measure
claim "so that 600 KiB have a mapping" test "$mapped" = 1
finish
