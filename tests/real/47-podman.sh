#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Row 13 of the hazards: podman, a program with threads that lives from namespaces. As root, and as
# a user, whose podman makes itself a user namespace, keeps that by a process of its own, and joins it
# whenever it starts again: by setns() as it starts, and where the kernel refuses that, as it does to
# a process with an agent, by another process. The container gets another environment, without the
# hook unless it is asked for: then what is in it is root's like any other, unless it is under podman's
# system call filter, or in a user's namespace, where who is root is not known and nobody is obeyed.
#
#	47-podman.sh BUILD

. "$(dirname "$0")/lib.sh"

need podman podman
need crun crun
need busybox busybox-static
need unshare util-linux
[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3 here: apt-get install python3"
need_root "to run as root and as another user"

rootfs=$scratch/rootfs
mkdir -p "$rootfs"/{bin,dev,etc,proc,run,sys,tmp,usr} "$rootfs$scratch"
ln -s usr/lib usr/lib64 "$rootfs"
cp "$(command -v busybox)" "$rootfs/bin/busybox"
for program in grep id sh sleep; do
	ln -s busybox "$rootfs/bin/$program"
done

# crun refuses a machine with both kinds of cgroups, and no container here needs any: it is not
# shown the second kind. Each run has mounts of its own, and what comes next by exec keeps its pid.
# shellcheck disable=SC2016 # of the shell that is started
apart=(unshare --mount --propagation private sh -c
	'! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; exec "$@"' -)

# All that it keeps is in $work.
podman_options()
{
	printf '%s\n' --cgroup-manager=cgroupfs --storage-driver=vfs --root "$work/storage" \
		--runroot "$work/run" --tmpdir "$work/tmp"
}

podman()
{
	local options

	mapfile -t options < <(podman_options)
	(XDG_RUNTIME_DIR=$work/run under podman "${options[@]}" "$@")
}

# What it started to tidy up goes on for a moment.
settle()
{
	wait_for 60 eval '! pgrep -f -- "$work/storage" >/dev/null'
}

# What a user's podman leaves running, for the next to join: it is ours to end.
note_pause()
{
	find "$work" -name pause.pid -exec sed '$a\' {} + >>"$scratch/servers"
}

box=(--cgroups=disabled --cgroupns=host --network=none --ulimit nofile=1024:1024
	--ulimit nproc=1000:1000)
inside='id -u; echo "preload: ${LD_PRELOAD-}"; grep -E "^(Threads|NoNewPrivs|Cap...):" /proc/self/status
	echo to stderr >&2; exit 4'

contained()
{
	install -d -o "$1" -m 700 "$work/run" "$work/storage" "$work/tmp"
	podman run --rm "${box[@]}" --rootfs "$rootfs" sh -c "$inside" || echo "status $?"
	note_pause
	podman run --detach --name kept "${box[@]}" --rootfs "$rootfs" sleep 1000 ||
		echo "status $?"
	podman exec kept sh -c "$inside" || echo "status $?"
	podman ps --noheading --format '{{.Names}} {{.Command}}' || echo "status $?"
	podman rm --force --time 0 kept || echo "status $?"
	podman run --rm "${box[@]}" --rootfs "$rootfs" /nonexistent || echo "status $?"
	settle
}

# inhabited USER FIRST ASK OPTION... : podman waits for its container, where a program with threads
# works after each of two lines, and has the hook by its own environment.
inhabited()
{
	local options

	install -d -o "$1" -m 700 "$work/run" "$work/storage" "$work/tmp"
	mapfile -t options < <(podman_options)
	options+=(run --rm --interactive "${box[@]}" -v /usr:/usr:ro -v "$scratch:$scratch" "${@:4}")
	[ "$way" = plain ] || options+=(-e "LD_PRELOAD=$HOOK" -e "MEMGUARD_SOCKET=$runtime/hook.sock")
	XDG_RUNTIME_DIR=$work/run threaded "$2" "$3" podman "${options[@]}" --rootfs "$rootfs"
	note_pause
	settle
}

under_filter()
{
	during "the daemon says why it is left alone" told "$1" "system call filter"
	during "it has no agent" is_passive "$1"
}

shared()
{
	contained nobody
	podman unshare sh -c 'id -u; exit 5' || echo "status $?"
	settle
}

# The time of day, and names made by lot.
normal()
{
	sed -E 's/time="[^"]*"/time=""/; s/[0-9a-f]{64}/ID/g'
}

as=("${apart[@]}")
(way=plain work=$scratch/try && mkdir "$work" && cd "$work" && contained root) >"$scratch/tried" 2>&1 || true
grep -qx "status 4" "$scratch/tried" || { cat "$scratch/tried"; skip "podman cannot run here"; }
matrix podman contained root
matrix inside inhabited root meet meet --security-opt seccomp=unconfined
claim "it and its container released in the middle" released_in inside auto named always
matrix inside-filtered inhabited root meet under_filter

as=("${apart[@]}" setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups)
matrix rootless shared
matrix inside-rootless inhabited nobody meet not_obeyed --security-opt seccomp=unconfined
claim "a user's podman released in the middle" released_in inside-rootless auto named always
finish
