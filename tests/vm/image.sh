#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the disk image of the test VM: a Debian root file system as an ext4 image, with its
# kernel and initrd beside it for direct kernel boot, and the one unit in it that hands
# control to the payload disk of run.sh.
#
# Usage: image.sh [--release=CODENAME] OUTDIR
#
# Leaves root.img, vmlinuz, initrd.img and key in OUTDIR. Does nothing when key says that
# they come from this very script, package list and release (default: bookworm). Exits 77 when
# a tool is missing, or when a release that this machine's apt does not list cannot be fetched.

set -euo pipefail

SELF=$(realpath "${BASH_SOURCE[0]}")
PACKAGES=$(dirname "$SELF")/packages
CODENAME=bookworm
FOREIGN=
DISK_SIZE=2G
NOT_FETCHED='Failed to fetch|not signed|NO_PUBKEY|does not have a Release file|could not resolve'
WORK=

say()
{
	printf 'image.sh: %s\n' "$*" >&2
}

die()
{
	say "$*"
	exit 1
}

cleanup()
{
	if [[ -n $WORK ]]; then
		rm -rf "$WORK"
	fi
}

# mmdebstrap makes the owners of the files either as root or in a user namespace.
require_tools()
{
	local tool

	for tool in apt-get flock mke2fs mmdebstrap sha256sum tar; do
		if ! command -v "$tool" >/dev/null; then
			say "$tool is not installed (Debian: apt-get install mmdebstrap e2fsprogs)"
			exit 77
		fi
	done
	if ((EUID != 0)) && ! { command -v newuidmap >/dev/null &&
		grep -qs "^$(id -un):" /etc/subuid; }; then
		say "building as an ordinary user needs uidmap and a line in /etc/subuid;" \
			"or run this once as root with the same OUTDIR"
		exit 77
	fi
}

image_key()
{
	{ echo "$CODENAME" && cat "$SELF" "$PACKAGES"; } | sha256sum | cut -d' ' -f1
}

is_fresh()
{
	local out=$1 file

	for file in root.img vmlinuz initrd.img key; do
		[[ -s $out/$file ]] || return 1
	done
	[[ $(<"$out/key") == "$(image_key)" ]]
}

package_list()
{
	sed -E -e 's/#.*//' -e "s/ +\[$CODENAME\]//" -e '/\[/d' -e '/^[[:space:]]*$/d' "$PACKAGES" |
		paste -sd,
}

# Debian's main part, as "CODENAME URI RELEASE", of all that this machine's apt lists.
known_sources()
{
	# shellcheck disable=SC2016 # the $(...) are apt's placeholders
	apt-get indextargets --format '$(CODENAME) $(REPO_URI) $(RELEASE)' \
		'Identifier: Packages' 'Origin: Debian' 'Component: main' | sort -u
}

# Asks apt what it already trusts for this release, so that a mirror, a snapshot or a
# local cache configured on the machine is used and no host name stands here.
own_sources()
{
	known_sources |
		awk -v name="$CODENAME" '$1 ~ "^" name "(-updates|-security)?$" { print "deb", $2, $3, "main" }'
}

# Of a release that apt does not list: where that of those it does list comes from.
foreign_sources()
{
	known_sources |
		sed -nE "s/^[a-z]+(-updates|-security)? ([^ ]+) .*/deb \2 $CODENAME\1 main/p" | sort -u
}

# A pinned snapshot is older than its Release file allows, and some machines reach their
# mirror through a proxy: what the machine's apt was told about that holds for ours.
apt_options()
{
	apt-config dump --format '%F "%v";%n' \
		Acquire::Check-Valid-Until Acquire::Check-Date \
		Acquire::http::Proxy Acquire::https::Proxy |
		grep -v '""' || true
}

# The unit is Type=exec, not oneshot: with a oneshot the boot would not be over before the
# tests are, and systemctl is-system-running could only ever say "starting".
write_test_unit()
{
	cat <<-'UNIT'
	[Unit]
	Description=memguard VM tests
	Documentation=man:memguard(8)
	After=multi-user.target
	Requires=dev-disk-by\x2did-virtio\x2dpayload.device
	After=dev-disk-by\x2did-virtio\x2dpayload.device
	Requires=dev-disk-by\x2did-virtio\x2dresults.device
	After=dev-disk-by\x2did-virtio\x2dresults.device
	SuccessAction=poweroff-force
	FailureAction=poweroff-force

	[Service]
	Type=exec
	ExecStartPre=mkdir -p /payload
	ExecStartPre=tar -xf /dev/disk/by-id/virtio-payload -C /payload
	ExecStart=bash /payload/run-in-vm.sh
	StandardInput=null
	StandardOutput=tty
	StandardError=tty
	TTYPath=/dev/ttyS0
	OOMPolicy=continue
	OOMScoreAdjust=-900
	TimeoutStartSec=infinity
	UNIT
}

# Files that must be there before the kernel package builds its initrd.
write_overlay()
{
	local etc=$1/etc units=$1/etc/systemd/system unit

	mkdir -p "$etc/initramfs-tools/conf.d" "$units/multi-user.target.wants"
	# Everything that the fixed virtual hardware needs and nothing else: software
	# emulation unpacks this on every boot.
	printf '%s\n' virtio_pci virtio_blk ext4 >"$etc/initramfs-tools/modules"
	printf '%s\n' MODULES=list RESUME=none >"$etc/initramfs-tools/conf.d/memguard"

	write_test_unit >"$units/memguard-test.service"
	ln -s ../memguard-test.service "$units/multi-user.target.wants/"
	# Periodic work and logins are noise in the journal and seconds on the clock; profiles are
	# testcase 39's.
	for unit in getty@tty1.service serial-getty@ttyS0.service man-db.timer \
		e2scrub_all.timer e2scrub_reap.service fstrim.timer \
		dpkg-db-backup.timer systemd-tmpfiles-clean.timer apparmor.service; do
		ln -s /dev/null "$units/$unit"
	done
}

build_tree()
{
	local tree=$1

	own_sources >"$WORK/sources.list"
	if [[ ! -s $WORK/sources.list ]]; then
		FOREIGN=yes
		foreign_sources >"$WORK/sources.list"
	fi
	[[ -s $WORK/sources.list ]] || die "apt on this machine lists no Debian $CODENAME" \
		"main: add it to /etc/apt/sources.list and run apt-get update"
	apt_options >"$WORK/apt.conf"
	write_overlay "$WORK/overlay"

	# The host's manual pages of other programs are never read in the VM. Of AppArmor's profiles,
	# which take a minute to compile, only what profiles are made of is needed.
	mmdebstrap --variant=essential --architectures=amd64 \
		--include="$(package_list)" --aptopt="$WORK/apt.conf" \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/etc/apparmor.d/*' \
		--dpkgopt='path-include=/etc/apparmor.d/ab*' \
		--dpkgopt='path-include=/etc/apparmor.d/tunables*' \
		--essential-hook="sync-in '$WORK/overlay' /" \
		"$CODENAME" "$tree" - <"$WORK/sources.list" >"$WORK/log" 2>&1 || explain_failure
}

# A machine need not reach, or trust, another release than its own; but what was fetched must do.
explain_failure()
{
	local reason

	reason=$(grep -E '^(E|Err|W):' "$WORK/log" | grep -m 1 -E "$NOT_FETCHED" || true)
	if [[ -n $FOREIGN && -n $reason ]]; then
		say "cannot fetch Debian $CODENAME: $reason"
		exit 77
	fi
	grep -v '%' "$WORK/log" | tail -n 30 >&2
	die "mmdebstrap failed, see above; if it could not fetch, check that" \
		"apt-get update works on this machine"
}

# Runs with root's view of the files, because owners must end up right in the image.
with_owners()
{
	if ((EUID == 0)); then
		"$@"
	elif command -v fakeroot >/dev/null; then
		fakeroot "$@"
	else
		say "fakeroot is not installed and this is not root: run either way"
		exit 77
	fi
}

# The disk carries no journal: it is thrown away after each boot.
build_disk()
{
	local tarball=$1 out=$2

	# shellcheck disable=SC2016 # expanded by the inner shell
	with_owners bash -euc '
		mkdir "$1/root"
		tar -xf "$2" -C "$1/root" --numeric-owner --exclude="./dev/*"
		cp "$1"/root/boot/vmlinuz-* "$3/vmlinuz"
		cp "$1"/root/boot/initrd.img-* "$3/initrd.img"
		# What the kernel was made with stays.
		find "$1/root/boot" -mindepth 1 ! -name "config-*" -delete
		mke2fs -qF -t ext4 -O ^has_journal -E lazy_itable_init=0,root_owner=0:0 \
			-m 0 -L memguard -d "$1/root" "$3/root.img" "$4" >/dev/null
	' bash "$WORK" "$tarball" "$out" "$DISK_SIZE" ||
		die "cannot make a disk of $tarball in $out, see above (is there space?)"
}

build()
{
	local out=$1 started=$SECONDS file

	# Under the lock, so what is here was left by a build that was killed.
	rm -rf "$out"/build.*
	WORK=$(mktemp -d "$out/build.XXXXXX")
	mkdir "$WORK/overlay" "$WORK/out"
	say "building the VM image of Debian $CODENAME in $out (about a minute)"
	build_tree "$WORK/root.tar"
	build_disk "$WORK/root.tar" "$WORK/out"
	# The key goes last: an interrupted move leaves a stale image, never a false one.
	rm -f "$out/key"
	for file in root.img vmlinuz initrd.img; do
		mv "$WORK/out/$file" "$out/$file"
	done
	image_key >"$out/key"
	say "built in $((SECONDS - started)) s, $(du -h "$out/root.img" | cut -f1) on disk"
}

main()
{
	local out

	if [[ ${1-} =~ ^--release=([a-z]+)$ ]]; then
		CODENAME=${BASH_REMATCH[1]}
		shift
	fi
	[[ $# -eq 1 && $1 != -* ]] || { say "usage: image.sh [--release=CODENAME] OUTDIR"; exit 2; }
	trap cleanup EXIT
	mkdir -p "$1"
	out=$(realpath "$1")
	# A fresh image needs none of the tools that build one.
	if is_fresh "$out"; then
		return 0
	fi
	require_tools
	# Two test runs at once must not build twice; the second finds the image fresh.
	exec 9>"$out/lock"
	flock 9
	is_fresh "$out" || build "$out"
}

main "$@"
