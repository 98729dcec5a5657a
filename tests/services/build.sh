#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the build of the test services. It installs nothing and writes nothing beside the
# sources: everything goes to OUTDIR, the program ends up as OUTDIR/webreport.
#
#	build.sh OUTDIR
#
# Exit status 77: a package is missing, it is named.

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CRATES=/usr/share/cargo/registry
PACKAGES=(cargo rustc librust-hyper-dev librust-tokio-dev)

# need_packages - looks for what is used, not for package names: no dpkg needed.
need_packages()
{
	local missing=()

	[[ -x /usr/bin/cargo ]] || missing+=("/usr/bin/cargo")
	[[ -x /usr/bin/rustc ]] || missing+=("/usr/bin/rustc")
	compgen -G "$CRATES/hyper-0.14.*" >/dev/null || missing+=("$CRATES/hyper-0.14.*")
	compgen -G "$CRATES/tokio-1.*" >/dev/null || missing+=("$CRATES/tokio-1.*")
	if ((${#missing[@]})); then
		echo "build.sh: missing: ${missing[*]}" >&2
		echo "build.sh: try: apt-get install ${PACKAGES[*]}" >&2
		exit 77
	fi
}

# copy_source DIR - a copy, because cargo writes Cargo.lock beside Cargo.toml. Unchanged
# files keep their times, so that a second build has nothing to do.
copy_source()
{
	mkdir -p "$1/src"
	cp --preserve=timestamps "$HERE/webreport/Cargo.toml" "$1/"
	cp --preserve=timestamps "$HERE"/webreport/src/*.rs "$1/src/"
}

# configure HOME - the packaged crates take the place of the network.
configure()
{
	mkdir -p "$1"
	cat >"$1/config.toml" <<-EOF
		[source.crates-io]
		replace-with = "debian-packages"

		[source.debian-packages]
		directory = "$CRATES"
	EOF
}

# run_cargo OUTDIR - with a clean environment: another toolchain, wrapper or flags of the
# user's would give another program.
run_cargo()
{
	env --ignore-environment PATH=/usr/bin:/bin HOME="$1/cargo-home" \
		CARGO_HOME="$1/cargo-home" CARGO_TARGET_DIR="$1/target" LC_ALL=C.UTF-8 \
		/usr/bin/cargo build --release --offline --quiet \
		--manifest-path "$1/webreport-source/Cargo.toml"
}

main()
{
	local out

	if (($# != 1)); then
		echo "usage: build.sh OUTDIR" >&2
		exit 2
	fi
	need_packages
	mkdir -p "$1"
	out=$(cd "$1" && pwd)
	copy_source "$out/webreport-source"
	configure "$out/cargo-home"
	run_cargo "$out"
	# Renamed into place: the old one may be running.
	cp "$out/target/release/webreport" "$out/webreport.new"
	mv "$out/webreport.new" "$out/webreport"
}

main "$@"
