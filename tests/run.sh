#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs one test script of `make check`, with the built things it takes as arguments.

set -eu

script=$1
build=${top_builddir:?run by make check}
source=${top_srcdir:?run by make check}

case ${script##*/} in
*-bites.sh)
	# Of the sources and of other checks, and so the same in every build.
	[ -z "${SANITIZED:-}" ] || { echo "skip: seen to bite in the plain build"; exit 77; }
	;;
esac

# What was built from a tarball is that which has been tested: all of the tree, one of each kind.
case ${FROM_TARBALL:+$script} in
*/10-calm-release.sh | */49-churn.sh | */hook-output.sh) ;;
*/integration/* | *-bites.sh | */soak/run.sh)
	echo "skip: run in the plain build"
	exit 77
	;;
esac

case ${script##*/} in
check-pure.sh)
	set -- "$build/agent/libpolicy.a"
	;;
check-symbols.sh)
	set -- "$HOOK"
	;;
check-pages.sh | check-pages-bites.sh)
	set -- "$build/man" "$build/tests/static/dump-options" "$source"
	;;
check-options-bites.sh)
	set -- "$build/tests/static/dump-options"
	;;
check-options.sh)
	set -- "$build/tests/static/dump-options" "$source"
	;;
check-unit.sh)
	set -- "$build/etc/memguard.service"
	;;
replay-bites.sh)
	set -- "$build/tests/replay/replay"
	;;
run.sh)
	# The soak; the hook is the same in every build, and its peers carry no sanitizer.
	[ -z "$SANITIZED" ] || { echo "skip: soaked in the plain build"; exit 77; }
	set -- "$build"
	;;
replay-all.sh)
	exec "$build/tests/replay/replay" "$source"/tests/replay/*.round
	;;
corpus.sh)
	for target in config kernel wire conn heap serve elf; do
		"$build/tests/fuzz/fuzz-$target" "$source/tests/fuzz/corpus/$target"/*
	done
	"$build/tests/fuzz/fuzz-kernel" "$source"/tests/data/kernels/*/*
	exit
	;;
*)
	set --
	;;
esac

exec "$script" "$@"
