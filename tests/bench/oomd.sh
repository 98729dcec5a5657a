#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the comparison with systemd-oomd, which does nothing without systemd and cgroup v2: in
# the test VM a program that has freed half of its limit grows by more than there is room for,
# under nobody, under Debian's systemd-oomd and under memguard (oomd-in-vm.sh). A markdown
# table; the log, with the words of both, to BUILD/bench-oomd.log. Some 10 minutes. Times in an
# emulated machine mean nothing, so none is shown.
#
#	oomd.sh --build=DIR [--cache=DIR]
#
#	--cache=DIR	where the VM's image is, see tests/vm/run.sh

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"

BUILD=
CACHE=()
SCRATCH=

parse_options()
{
	local option

	for option; do
		case $option in
		--build=*) BUILD=${option#*=} ;;
		--cache=*) CACHE=("$option") ;;
		*) usage "oomd.sh: $option: no such option" ;;
		esac
	done
	[[ -d $BUILD ]] || usage "oomd.sh: --build=DIR: a build directory is needed"
	BUILD=$(cd "$BUILD" && pwd)
}

# What the VM is given: there is no network in it.
stage()
{
	make -C "$BUILD" install DESTDIR="$SCRATCH/root"
	make -C "$BUILD" tests/bench/grower
	mkdir "$SCRATCH/extra"
	cp "$BUILD/tests/bench/grower" "$SCRATCH/extra/"
	(cd "$SCRATCH" && apt-get download systemd-oomd)
	mv "$SCRATCH"/systemd-oomd_*.deb "$SCRATCH/extra/systemd-oomd.deb"
}

# table - of the rows on standard input, one for each limit and guard, with how the runs ended.
table()
{
	printf '| limits | guard | how it ended | runs |\n|---|---|---|---|\n'
	awk -F ' [|] ' '
		{ key = $1 " | " $2 " | " $3 }
		!(key in n) { order[++rows] = key }
		{ n[key]++ }
		END { for (i = 1; i <= rows; i++) print "| " order[i] " | " n[order[i]] " |" }'
}

main()
{
	local log rows

	parse_options "$@"
	cleanup_at_exit
	make_directory SCRATCH
	log=$BUILD/bench-oomd.log
	stage >"$log" 2>&1 || fail "cannot prepare the machine, see $log"
	rows=$(run_in_vm oomd "$BUILD" "$SCRATCH" "${CACHE[@]}")
	table <<<"$rows"
}

main "$@"
