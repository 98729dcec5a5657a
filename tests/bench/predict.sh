#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How well releases are predicted: tests/bench/predict.sh --build=DIR [--state=TEXT]
# [--method=full|borrow]. Prints a table for each heap state and a summary. A figure, not a
# test: it fails only when it cannot run.

set -euo pipefail

build=build
arguments=()
for argument in "$@"; do
	case $argument in
	--build=*) build=${argument#--build=} ;;
	--state=* | --method=full | --method=borrow) arguments+=("$argument") ;;
	*)
		echo "Usage: $0 --build=DIR [--state=TEXT] [--method=full|borrow]" >&2
		exit 2
		;;
	esac
done

if ! [ -x "$build/tests/bench/predict" ]; then
	echo "predict.sh: no $build/tests/bench/predict; run make tests/bench/predict there" >&2
	exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export MEMGUARD_SOCKET=$scratch/hook.sock
HOOK=$(realpath "$build/libmemguard-hook.so")
export HOOK
"$build/tests/bench/predict" ${arguments[@]+"${arguments[@]}"}
