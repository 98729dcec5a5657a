#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the kernel refuses to a process with two threads: a user namespace, whether new or
# another's. unshare and nsenter have one thread, so with `auto` they have to work; where they
# are named, and with `always`, which is for tests, the kernel refuses. bubblewrap makes its namespaces with a
# process, so it has to work either way. In both a program with threads runs: what root started releases
# when it is asked; in a user namespace nobody is obeyed, since who is root is not known there (row 39).
#
#	44-namespaces.sh BUILD

. "$(dirname "$0")/lib.sh"

need unshare util-linux
need bwrap bubblewrap
[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3 here: apt-get install python3"
need_root "to enter the namespaces of another process"
as_user nobody
user unshare -U true 2>/dev/null || skip "users may not make namespaces here"

inside='id -u; grep ^Threads: /proc/self/status; ! grep -q memguard-hook /proc/self/maps || echo hooked; exit 4'

# Whether the inside carries the hook is the one thing that must differ.
normal()
{
	sed /^hooked$/d
}

unshared()
{
	(under unshare -U sh -c "$inside") || echo "status $?"
	(under unshare -U -r -m -u -i -p -f --mount-proc sh -c "$inside; ps ax | wc -l") || echo "status $?"
	(under unshare -U -r setpriv --bounding-set -all --inh-caps -all sh -c "$inside") || echo "status $?"
}

bubbles()
{
	(under bwrap --ro-bind / / --unshare-all --die-with-parent --proc /proc --dev /dev \
		sh -c "id -u; exit 4") || echo "status $?"
	(under bwrap --ro-bind / / --unshare-user --unshare-pid --tmpfs /tmp --chdir / --clearenv \
		--setenv A b /usr/bin/env) || echo "status $?"
	(under bwrap --ro-bind / / --unshare-net /nonexistent) || echo "status $?"
	(under bwrap --ro-bind / / --unshare-user --cap-drop ALL --new-session \
		sh -c 'grep CapEff /proc/self/status') || echo "status $?"
}

entered()
{
	as=()
	unshare -U -r -m -u sleep 1000 &
	server=$!
	echo "$server" >>"$scratch/servers"
	wait_for 60 eval '[ "$(cat /proc/$server/comm)" = sleep ]'
	(under nsenter -t "$server" -m -u sh -c 'echo entered; exit 5') || echo "status $?"
	(under nsenter -t "$server" -U -m sh -c "$inside") || echo "status $?"
	stop || true
}

# unshare and bwrap themselves.
meet_one()
{
	single=yes meet "$@"
}

# Root's bwrap gives up its capabilities, and an agent leaves then (row 17 of the hazards).
parted()
{
	wait_for 60 is_passive "$1"
	is_alone "$2" "$1"
}

refused()
{
	way=always
	(under "$@") >"$scratch/refused" 2>&1 && return 1
	cat "$scratch/refused"
	grep -q 'Invalid argument' "$scratch/refused"
}

modes=(auto)
matrix unshare unshared
claim "the inside carries the hook" grep -qx hooked "$scratch/unshare.auto.raw.out"
matrix nsenter entered
claim "the inside carries the hook" grep -qx hooked "$scratch/nsenter.auto.raw.out"
modes=(auto named always)
matrix bwrap bubbles

box=(bwrap --ro-bind / / --unshare-pid --unshare-net --unshare-ipc --unshare-uts --die-with-parent
	--proc /proc --dev /dev)
matrix bwrap-user threaded meet_one not_obeyed "${box[@]}" --unshare-user
as=()
matrix unshare-root threaded meet_one meet unshare -m -u -i -p -f --mount-proc
matrix bwrap-root threaded parted meet "${box[@]}"
for name in unshare-root bwrap-root; do
	claim "$name: it released in the middle" released_in $name auto named always
done
as_user nobody
modes=(auto)
matrix unshare-user threaded meet_one not_obeyed unshare -U -r -m -u -i -p -f --mount-proc
claim "with an agent the kernel refuses a user namespace, which memguard-hook(7) tells" \
	refused unshare -U true
finish
