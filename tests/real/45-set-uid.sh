#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Set-uid and set-gid programs of the system, and one with file capabilities, run by a user: the
# loader takes no preload there, says nothing of it, and the daemon hears of nobody. Root runs
# the same programs with the hook, among them those that change their ids.
#
#	45-set-uid.sh BUILD

. "$(dirname "$0")/lib.sh"

need_root "to run things as nobody"
need su util-linux
need chage passwd
need setcap libcap2-bin

# The file system of the scratch directory may be nosuid; /run and the like may not be.
cp "$(command -v sleep)" "$scratch/raised-uid"
cp "$(command -v sleep)" "$scratch/raised-gid"
cp "$(command -v sleep)" "$scratch/raised-caps"
chmod 4755 "$scratch/raised-uid"
chgrp daemon "$scratch/raised-gid"
chmod 2755 "$scratch/raised-gid"
setcap cap_net_bind_service+ep "$scratch/raised-caps" 2>/dev/null || rm "$scratch/raised-caps"

programs()
{
	(under su --version)
	(under su root -c true </dev/null) || echo "status $?"
	(under passwd -S) || echo "status $?"
	(under chage -l nobody) || echo "status $?"
	(under chsh -s /nonexistent </dev/null) || echo "status $?"
	(under newgrp root </dev/null) || echo "status $?"
	(under mount /nonexistent) || echo "status $?"
	(under umount /nonexistent) || echo "status $?"
}

# A process that stays, to be looked at.
raised()
{
	start "$1" 1000
	wait_for 60 eval '[ "$(cat /proc/$server/comm)" = "${program##*/}" ]'
	during "it does not carry the hook" eval "! carries $server"
	during "it has no agent" is_passive "$server"
	during "the daemon says why" told "$server" "raised its rights"
	grep -E '^(Uid|Gid|CapEff|Threads):' "/proc/$server/status"
	stop
}

as_user nobody
(umask 022 && user true)
matrix set-uid programs
for program in "$scratch"/raised-*; do
	matrix "${program##*/}" raised "$program"
done
# That they were raised, and this no test of ordinary programs.
claim "the set-uid program was root" \
	grep -qP 'Uid:\t65534\t0\t0\t0' "$scratch/raised-uid.plain.out"

as=()
ids()
{
	(under su nobody -s /bin/sh -c 'id; grep -E "^Cap(Eff|Prm):" /proc/self/status; exit 3') || echo "status $?"
	(under chage -l nobody)
	(under runuser -u nobody -- id)
	(under start-stop-daemon --start --chuid nobody --exec /usr/bin/id)
	(under sg daemon id)
}
# setpriv keeps its capabilities over a change of user id, for its own thread alone, and changes
# more ids then; the agent can not, and libc ends the program. So with `always` not this
# (libhook/README.md, 17); a name alone brings it no agent, since it has libcap-ng.
dropped()
{
	(under setpriv --reuid=nobody --regid=nogroup --init-groups --bounding-set -all --no-new-privs \
		grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs):' /proc/self/status)
}
matrix ids ids
# Root's su waits for what it started as somebody else, and has one thread.
look_for_parting "$(command -v su)"
want_status=3
single=yes matrix su-waits in_two su nobody -s /bin/sh -c \
	'for i in 1 2; do read -r line; echo "$line" "$(id -un)"; done; exit 3'
claim "su released while it waited" released_in su-waits always
want_status=0
modes=(auto named)
matrix bounding-set dropped
finish
