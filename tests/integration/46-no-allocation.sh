#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From the decision to the outcome memguardd allocates nothing: when memory is short there is
# none to be had, and to wait for some is to be late. Its memory is locked where it may be.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${SANITIZED:-}" ] || skip "a sanitizer allocates itself"
make_group 128
"${CC:-cc}" -O1 -shared -fPIC -fno-builtin -o "$scratch/count.so" \
	"$(dirname "$0")/malloc-count.c" -D_GNU_SOURCE -ldl || skip "no compiler here"

printf '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n[Trim]\nCooldownSec=1s\n' \
	>"$scratch/memguard.conf"
LD_PRELOAD=$scratch/count.so "$MEMGUARDD" --log-level=debug --runtime-directory="$runtime" \
	--config="$scratch/memguard.conf" 2>>"$scratch/daemon.log" &
daemon=$!
started+=("$daemon")
wait_for 20 test -S "$runtime/bus"

# Two of them, for a round that asks more than one.
for mib in 40 70; do
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" good $mib >"$scratch/good-$mib"
	) &
	started+=($!)
done

claim "a round under pressure was counted" wait_for 60 logged '^counted [0-9]+ allocations'
claim "somebody was asked in it" grep -q 'asked reclaim' "$scratch/good-70"
claim "it allocated nothing" logged '^counted 0 allocations'

locked_kib()
{
	awk '$1 == "VmLck:" { print $2 }' "/proc/$daemon/status"
}

if [ "$(ulimit -l)" = unlimited ] || [ "$(id -u)" = 0 ]; then
	claim "its memory is locked" test "$(locked_kib)" -gt 0
fi
finish
