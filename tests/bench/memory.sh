#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the figures of memguardd's own memory where it belongs: in the test VM beside systemd
# and dbus-daemon, which map some of the libraries that it maps (memory-in-vm.sh); scale.py
# measures it where nothing does. A markdown table; the log, with what it has of each file for
# itself, to BUILD/bench-memory.log. Some 5 minutes.
#
#	memory.sh --build=DIR [--cache=DIR] [--rows=10:10,1000:1000]
#
#	--cache=DIR	where the VM's image is, see tests/vm/run.sh
#	--rows=...	members:groups, each in a daemon of its own

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"

BUILD=
CACHE=()
ROWS=10:10,1000:1000
SCRATCH=

parse_options()
{
	local option

	for option; do
		case $option in
		--build=*) BUILD=${option#*=} ;;
		--cache=*) CACHE=("$option") ;;
		--rows=*) ROWS=${option#*=} ;;
		*) usage "memory.sh: $option: no such option" ;;
		esac
	done
	[[ -d $BUILD ]] || usage "memory.sh: --build=DIR: a build directory is needed"
	[[ $ROWS =~ ^[0-9]+:[1-9][0-9]*(,[0-9]+:[1-9][0-9]*)*$ ]] ||
		usage "memory.sh: --rows=$ROWS: not MEMBERS:GROUPS,..."
	BUILD=$(cd "$BUILD" && pwd)
}

stage()
{
	make -C "$BUILD" install DESTDIR="$SCRATCH/root"
	make -C "$BUILD" tests/shim/fake-hook
	mkdir "$SCRATCH/extra"
	cp "$BUILD/tests/shim/fake-hook" "$SCRATCH/extra/"
	tr , '\n' <<<"$ROWS" >"$SCRATCH/extra/shapes"
}

# table - of the rows on standard input.
table()
{
	printf '| %s ' members groups "private, MiB" "of that files', as they are" \
		"files', written to" anonymous "resident, with what is shared" \
		"charged by the kernel"
	printf '|\n|---|---|---|---|---|---|---|---|\n'
	awk -F ' [|] ' '{
		printf "| %d | %d ", $1, $2
		for (i = 3; i <= NF; i++)
			printf "| %.2f ", $i / 1024
		print "|" }'
}

main()
{
	local log rows

	parse_options "$@"
	cleanup_at_exit
	make_directory SCRATCH
	log=$BUILD/bench-memory.log
	stage >"$log" 2>&1 || fail "cannot prepare the machine, see $log"
	rows=$(run_in_vm memory "$BUILD" "$SCRATCH" "${CACHE[@]}")
	table <<<"$rows"
}

main "$@"
