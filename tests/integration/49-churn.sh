#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Groups that come and go under the same few names, each with a member that is killed: the
# daemon keeps neither descriptors nor memory of them, nor takes one for another. A short
# form of `tests/bench/scale.py --churn`.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${SANITIZED:-}" ] || skip "a sanitizer keeps what was freed"
make_group 1000
claim "groups that are gone leave nothing behind" \
	"$(dirname "$0")/../bench/scale.py" --build="$top_builddir" --churn=300

# Of which group a process is it can choose itself, where it is let make groups: one each, told
# to the daemon, and left.
visit()
{
	PYTHONPATH=$here/../shim python3 - "$runtime/hook.sock" "$group" <<-EOF2
	import os, socket, sys
	from hook_peer import LIMIT_SEC, hello

	def visit(directory):
	    with open(directory + "/cgroup.procs", "w") as file:
	        file.write("0")
	    conn = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	    conn.settimeout(LIMIT_SEC)
	    conn.connect(sys.argv[1])
	    conn.send(hello())
	    conn.recv(4096)

	for i in range(600):
	    os.mkdir(f"{sys.argv[2]}/{i}")
	    if os.fork() == 0:
	        visit(f"{sys.argv[2]}/{i}")
	        os._exit(0)
	for i in range(600):
	    assert os.wait()[1] == 0
	EOF2
}

n_groups()
{
	ctl --json=short status | jq .n_groups
}

here=$(cd "$(dirname "$0")" && pwd)
start_daemon
claim "600 groups have a member for a moment" visit
claim "not all of them are remembered" wait_for 20 eval '[ "$(n_groups)" -le 300 ]'
claim "but some are" eval '[ "$(n_groups)" -ge 200 ]'
finish
