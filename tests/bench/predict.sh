#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How well releases are predicted. A figure, not a test: it fails only when it cannot run.
#
#	predict.sh --build=DIR [--state=TEXT] [--method=full|borrow]
#			a row for each heap state, then one for each family of them
#	predict.sh --build=DIR --readme
#			the table in README.md: the families of the last run of all states

set -euo pipefail

build=build
readme=false
arguments=()
for argument in "$@"; do
	case $argument in
	--build=*) build=${argument#--build=} ;;
	--state=* | --method=full | --method=borrow) arguments+=("$argument") ;;
	--readme) readme=true ;;
	*)
		echo "Usage: $0 --build=DIR [--state=TEXT] [--method=full|borrow] | --build=DIR --readme" >&2
		exit 2
		;;
	esac
done

results=$build/bench-predict.md
if $readme; then
	[ -r "$results" ] || { echo "predict.sh: $results is not there; run it without --readme first" >&2; exit 2; }
	sed -n '/^| heaps /,$p' "$results"
	exit
fi

if ! [ -x "$build/tests/bench/predict" ]; then
	echo "predict.sh: no $build/tests/bench/predict; run make tests/bench/predict there" >&2
	exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export MEMGUARD_SOCKET=$scratch/hook.sock
HOOK=$(realpath "$build/libmemguard-hook.so")
export HOOK
if [ ${#arguments[@]} -gt 0 ]; then
	"$build/tests/bench/predict" "${arguments[@]}"
else
	"$build/tests/bench/predict" | tee "$results"
fi
