#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-layers.sh can fail: on a copy of the tree, each kind of forbidden
# include in turn must be found, and by its name.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

mkdir "$scratch/tree"
# A source tree from a tarball may be read-only; the copy must not be.
(cd "$here/../.." && find agent libhook -name '*.[ch]' -exec cp --parents {} "$scratch/tree" \;)
chmod -R u+w "$scratch/tree"

# The line @2 in the file @1 must be refused, and allowed again without it.
refused()
{
	cp "$scratch/tree/$1" "$scratch/kept"
	printf '%s\n' "$2" >>"$scratch/tree/$1"
	if "$here/check-layers.sh" "$scratch/tree" >"$scratch/out" 2>&1; then
		echo "not ok - $1 may include $2"
		bad=1
	elif ! grep -q "^not ok - $1" "$scratch/out"; then
		echo "not ok - $2 in $1 is refused, but not by name:"
		sed 's/^/# /' "$scratch/out"
		bad=1
	else
		echo "ok - $1: $2"
	fi
	mv "$scratch/kept" "$scratch/tree/$1"
}

if "$here/check-layers.sh" "$scratch/tree" >"$scratch/out" 2>&1; then
	echo "ok - the tree as it is passes"
else
	echo "not ok - the tree as it is fails:"
	sed 's/^/# /' "$scratch/out"
	exit 1
fi

refused agent/basic/fd.h '#include "agent/model/group.h"'
refused agent/model/group.h '#include "agent/policy/gate.h"'
refused agent/model/member.h '#include "libhook/serve.h"'
refused agent/policy/gate.c '#include "agent/sense/cgroup.h"'
refused agent/policy/gate.c '#include "agent/basic/log.h"'
refused agent/policy/gate.c '#include <time.h>'
refused agent/policy/gate.c '#include <stdio.h>'
refused agent/policy/gate.c '#include <systemd/sd-event.h>'
refused agent/config/config.h '#include "agent/core/manager.h"'
refused agent/sense/cgroup.h '#include "agent/policy/trend.h"'
refused agent/sense/cgroup.h '#include "libhook/wire.h"'
refused agent/hook/conn.h '#include "agent/report/bus.h"'
refused agent/hook/conn.h '#include <systemd/sd-bus.h>'
refused agent/report/bus.h '#include "agent/hook/conn.h"'
refused agent/core/round.c '#include "libhook/serve.h"'
refused agent/core/round.c '#include <systemd/sd-bus.h>'
refused agent/core/round.c '#include <systemd/sd-daemon.h>'
refused agent/report/bus.c '#include "libhook/wire.h"'
refused agent/ctl/output.c '#include <systemd/sd-event.h>'
refused agent/memguard.c '#include "libhook/agent.h"'
refused libhook/serve.c '#include "agent/basic/macro.h"'
refused libhook/serve.c '#include <systemd/sd-journal.h>'
refused libhook/serve.c ' #  include "agent/basic/macro.h"'
refused libhook/serve.c '#include SOME_MACRO'
refused agent/core/round.c '#include "round.h"'
refused agent/core/round.c '#include "agent/core/no-such-file.h"'

mkdir "$scratch/tree/agent/misc"
echo '#include <stddef.h>' >"$scratch/tree/agent/misc/misc.h"
if "$here/check-layers.sh" "$scratch/tree" >/dev/null 2>&1; then
	echo "not ok - a folder without a rule passes"
	bad=1
else
	echo "ok - a folder without a rule is refused"
fi

mkdir "$scratch/empty"
if "$here/check-layers.sh" "$scratch/empty" >/dev/null 2>&1; then
	echo "not ok - a tree without sources passes"
	bad=1
else
	echo "ok - a tree without sources is refused"
fi

exit "$bad"
