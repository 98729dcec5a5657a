#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns one run of the test VM: packs an installed tree and the testcases into a payload
# disk, boots the image of image.sh with it, and reports a line for each testcase.
#
# Usage: run.sh [--release=CODENAME] [--stage=DIR] [--extra=DIR] [--cache=DIR] [--results=DIR]
#               [--timeout=SEC] [--accel=ACCEL] [TESTCASE...]
#        run.sh --prepare [--release=CODENAME] [--cache=DIR]
#
#   --release=CODENAME  of Debian: bookworm (12, the default), trixie (13)
#   --stage=DIR    the tree of "make install DESTDIR=DIR" (prefix /usr), laid over / in the
#                  VM before the tests; without it testcases that need memguard skip
#   --extra=DIR    test programs, found as /payload/extra (lib.sh: $EXTRA) in the VM
#   --cache=DIR    where the images live, each in a folder named after its release; default is
#                  ${XDG_CACHE_HOME:-$HOME/.cache}/memguard-vm
#   --results=DIR  keep logs, journal and serial console here, also when all is well
#   --accel=ACCEL  default tcg,thread=multi; kvm is faster where it works, but a machine can
#                  have /dev/kvm and still hang in it, so it is never tried unasked
#   --prepare      only make the image, which a run would do before anything else
#   --timeout=SEC  limit for the whole VM, default 900
#   TESTCASE       00-boot, testcase-00-boot.sh or a path to it, also one elsewhere; default is all
#
# Exit status: 0 all passed or skipped themselves, 1 a testcase failed or did not finish,
# 2 usage, 77 no VM is possible on this machine, or none of that release.

set -euo pipefail

HERE=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
RELEASE=bookworm
STAGE=
EXTRA=
IMAGE=
CACHE=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/memguard-vm
RESULTS=
KEEP_RESULTS=
PREPARE=
ACCEL=tcg,thread=multi
TIMEOUT=900
TESTCASES=()
FILES=()
WORK=
QEMU_PID=

say()
{
	printf 'run.sh: %s\n' "$*" >&2
}

die()
{
	say "$*"
	exit 1
}

usage()
{
	sed -n '/^# Usage:/,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
}

# Stops our own qemu only: timeout(1) hands the signal on to its child.
cleanup()
{
	if [[ -n $QEMU_PID ]] && kill -0 "$QEMU_PID" 2>/dev/null; then
		kill "$QEMU_PID"
		wait "$QEMU_PID" || true
	fi
	if [[ -n $WORK ]]; then
		rm -rf "$WORK"
	fi
	if [[ -n $RESULTS && -z $KEEP_RESULTS ]]; then
		rm -rf "$RESULTS"
	fi
}

add_testcase()
{
	local name=${1##*/} file

	name=${name#testcase-}
	name=${name%.sh}
	file=$HERE/testcase-$name.sh
	if [[ $1 == */* ]]; then
		file=$1
	fi
	if [[ ! -f $file ]]; then
		say "no testcase $1: there is no $file"
		exit 2
	fi
	TESTCASES+=("$name")
	FILES+=("$file")
}

parse_arguments()
{
	local argument

	for argument; do
		case $argument in
		--release=*) RELEASE=${argument#*=} ;;
		--stage=*) STAGE=${argument#*=} ;;
		--extra=*) EXTRA=${argument#*=} ;;
		--cache=*) CACHE=${argument#*=} ;;
		--results=*) RESULTS=${argument#*=} ;;
		--accel=*) ACCEL=${argument#*=} ;;
		--prepare) PREPARE=yes ;;
		--timeout=*) TIMEOUT=${argument#*=} ;;
		-*) usage ;;
		*) add_testcase "$argument" ;;
		esac
	done
	if ((${#TESTCASES[@]} == 0)); then
		for argument in "$HERE"/testcase-*.sh; do
			add_testcase "$argument"
		done
	fi
	[[ $RELEASE =~ ^[a-z]+$ ]] || { say "--release=$RELEASE: not a codename"; exit 2; }
	[[ $TIMEOUT =~ ^[1-9][0-9]*$ ]] || { say "--timeout=$TIMEOUT: not a number"; exit 2; }
	[[ -z $STAGE || -d $STAGE ]] || die "--stage=$STAGE: no such directory; make one" \
		"with: make install DESTDIR=$STAGE"
	[[ -z $EXTRA || -d $EXTRA ]] || die "--extra=$EXTRA: no such directory"
}

require_qemu()
{
	if ! command -v qemu-system-x86_64 >/dev/null; then
		say "qemu-system-x86_64 is not installed" \
			"(Debian: apt-get install qemu-system-x86)"
		exit 77
	fi
}

# The payload is a plain tar on a disk, so that neither side needs a mount or a file
# system tool. Owners become root: the stage may have been installed by anyone.
build_payload()
{
	local payload=$WORK/payload i

	mkdir -p "$payload/extra"
	cp "$HERE/run-in-vm.sh" "$HERE/lib.sh" "$payload/"
	for i in "${!TESTCASES[@]}"; do
		cp "${FILES[i]}" "$payload/testcase-${TESTCASES[i]}.sh"
	done
	if [[ -n $EXTRA ]]; then
		cp -rL "$EXTRA/." "$payload/extra/"
	fi
	if [[ -n $STAGE ]]; then
		tar -cf "$payload/stage.tar" --owner=0 --group=0 --numeric-owner -C "$STAGE" .
	fi
	tar -cf "$WORK/payload.img" --owner=0 --group=0 --numeric-owner -C "$payload" .
	truncate -s 256M "$WORK/results.img"
}

# What the kernel does not know becomes init's environment: systemd has refused system calls
# logged. Without a limit the kernel's log has all that it refuses, as testcases want it. snapshot=on
# keeps the cached image as it was built. The oldest CPU model is the fastest: emulating the wide
# vector instructions of a newer one costs a third of the time.
boot()
{
	local append=(
		root=/dev/vda rw console=ttyS0 quiet loglevel=5 panic=-1
		psi=1 cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1
		systemd.machine_id=6d656d67756172642d766d2d74657374
		systemd.hostname=memguard-vm systemd.show_status=no
		fsck.mode=skip mitigations=off sysctl.kernel.printk_ratelimit=0
		SYSTEMD_LOG_SECCOMP=1
	)
	local disk=if=none,format=raw,cache=unsafe
	# shellcheck disable=SC2054 # the commas are qemu's
	local qemu=(
		qemu-system-x86_64 -nodefaults -no-user-config -no-reboot
		-machine q35 -accel "$ACCEL" -cpu qemu64 -smp 2 -m 2048
		-display none -nic none -serial "file:$RESULTS/serial.log"
		-kernel "$IMAGE/vmlinuz" -initrd "$IMAGE/initrd.img" -append "${append[*]}"
		-drive "$disk,id=root,snapshot=on,file=$IMAGE/root.img"
		-device virtio-blk-pci,drive=root
		-drive "$disk,id=payload,readonly=on,file=$WORK/payload.img"
		-device virtio-blk-pci,drive=payload,serial=payload
		-drive "$disk,id=results,file=$WORK/results.img"
		-device virtio-blk-pci,drive=results,serial=results
		-device virtio-rng-pci
	)

	timeout --kill-after=10 "$TIMEOUT" "${qemu[@]}" </dev/null >"$RESULTS/qemu.log" 2>&1 &
	QEMU_PID=$!
	wait "$QEMU_PID"
}

# A VM that never reached the tests leaves an empty disk, which is no tar.
fetch_results()
{
	tar -xf "$WORK/results.img" -C "$RESULTS" --no-same-owner 2>/dev/null || true
}

show()
{
	printf '# ---- %s\n' "$1"
	sed 's/^/# /' "$1"
	printf '# ----\n'
}

# Prints the line of one testcase; its status says whether it is fine.
report()
{
	local name=$1 status=none reason log=$RESULTS/$1.log

	if [[ -f $RESULTS/$name.status ]]; then
		status=$(<"$RESULTS/$name.status")
	fi
	case $status in
	0)
		echo "ok - $name"
		return 0
		;;
	77)
		reason=$(cat "$RESULTS/$name.skip" 2>/dev/null || echo "gave no reason")
		echo "skip - $name ($reason)"
		return 0
		;;
	124) echo "not ok - $name (ran into its time limit)" ;;
	none) echo "not ok - $name (did not finish: the VM ended before it did)" ;;
	*) echo "not ok - $name (exit status $status)" ;;
	esac
	if [[ -f $log ]]; then
		show "$log"
	fi
	return 1
}

explain_vm_failure()
{
	local status=$1

	if ((status == 124)); then
		say "the VM was still running after $TIMEOUT s and was stopped; the machine" \
			"may be busy: try --timeout=$((TIMEOUT * 2))"
	else
		say "the VM ended before the tests did (qemu exit status $status)"
	fi
	say "end of the serial console, the whole is in $RESULTS/serial.log:"
	tail -n 40 "$RESULTS/serial.log" >&2 2>/dev/null || true
	cat "$RESULTS/qemu.log" >&2
}

prepare_results()
{
	if [[ -z $RESULTS ]]; then
		RESULTS=$(mktemp -d "${TMPDIR:-/tmp}/memguard-vm-results.XXXXXX")
		return 0
	fi
	KEEP_RESULTS=yes
	mkdir -p "$RESULTS"
	# What an earlier run left here must not pass for a result of this one.
	rm -f "$RESULTS"/*.{log,status,skip} "$RESULTS/done"
}

main()
{
	local name status=0 failed=0 started

	parse_arguments "$@"
	require_qemu
	IMAGE=$CACHE/$RELEASE
	"$HERE/image.sh" --release="$RELEASE" "$IMAGE" || exit $?
	[[ -z $PREPARE ]] || exit 0

	trap cleanup EXIT
	trap 'exit 130' INT TERM
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/memguard-vm.XXXXXX")
	prepare_results
	build_payload
	started=$SECONDS
	boot || status=$?
	fetch_results
	if [[ ! -f $RESULTS/done ]]; then
		explain_vm_failure "$status"
		KEEP_RESULTS=yes
	fi
	for name in "${TESTCASES[@]}"; do
		report "$name" || failed=$((failed + 1))
	done
	echo "# VM: $RELEASE, ${#TESTCASES[@]} testcases, $failed failed, $((SECONDS - started)) s"
	if ((failed > 0)); then
		KEEP_RESULTS=yes
	fi
	if [[ -n $KEEP_RESULTS ]]; then
		echo "# VM: logs, journal and serial console are in $RESULTS"
	fi
	((failed == 0)) && [[ -f $RESULTS/done ]]
}

main "$@"
