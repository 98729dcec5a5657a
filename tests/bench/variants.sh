# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Owns the service on its allocators: webreport unchanged, on each of VARIANTS, the last with
# memguardd beside it. For benches that have sourced lib.sh, have set BUILD (and SERVICE, else
# webreport is built into BUILD/services), and call variants_prepare first.

# What is set here is for them, and SERVICES is theirs.
# shellcheck disable=SC2034,SC2153

BUILD=
SERVICE=
SCRATCH=
GUARD_SETTINGS=

# What the start functions leave for the rest.
GUARD_PID=
GUARD_DIRECTORY=
SERVICE_PID=
SERVICE_URL=
SERVICE_GROUP=

VARIANTS=(glibc arena-max-2 jemalloc mimalloc tcmalloc memguard)

# variants_option OPTION - takes what all these benches know; false: it is another one.
variants_option()
{
	case $1 in
	--build=*) BUILD=${1#*=} ;;
	--service=*) SERVICE=${1#*=} ;;
	*) return 1 ;;
	esac
}

# variants_build - after the last option.
variants_build()
{
	[[ -d $BUILD ]] || usage "${0##*/}: --build=DIR: a build directory is needed"
	BUILD=$(cd "$BUILD" && pwd)
}

# library NAME - the path of a shared library as the dynamic linker knows it.
library()
{
	ldconfig -p | awk -v name="$1" '$1 == name && !found { print $NF; found = 1 }'
}

hook()
{
	local file

	for file in "$BUILD/.libs/libmemguard-hook.so" "$BUILD/libmemguard-hook.so"; do
		if [[ -e $file ]]; then
			echo "$file"
			return
		fi
	done
}

# variant_library VARIANT - what to preload; nothing when the machine has not got it.
variant_library()
{
	case $1 in
	jemalloc) library libjemalloc.so.2 ;;
	mimalloc) library libmimalloc.so.2 ;;
	tcmalloc) library libtcmalloc_minimal.so.4 ;;
	memguard) hook ;;
	esac
}

variant_present()
{
	case $1 in
	glibc | arena-max-2) true ;;
	memguard) [[ -x $BUILD/memguardd && $(hook) ]] ;;
	*) [[ $(variant_library "$1") ]] ;;
	esac
}

# variant_environment VARIANT ARRAY - how the unchanged service gets its allocator.
variant_environment()
{
	local -n variables=$2

	# shellcheck disable=SC2034 # a reference to the caller's
	case $1 in
	glibc) variables=() ;;
	arena-max-2) variables=(MALLOC_ARENA_MAX=2) ;;
	memguard)
		variables=("LD_PRELOAD=$(hook)" "MEMGUARD_SOCKET=$GUARD_DIRECTORY/hook.sock") ;;
	*) variables=("LD_PRELOAD=$(variant_library "$1")") ;;
	esac
}

# guard_start - all there is to know of how memguardd is started. With GUARD_SETTINGS alone:
# the defaults are what is measured, not the machine's settings.
guard_start()
{
	make_directory GUARD_DIRECTORY
	printf "%b" "$GUARD_SETTINGS" >"$GUARD_DIRECTORY/settings.conf"
	"$BUILD/memguardd" --runtime-directory="$GUARD_DIRECTORY" \
		--config="$GUARD_DIRECTORY/settings.conf" >>"$BUILD/bench-memguardd.log" 2>&1 &
	GUARD_PID=$!
	own_process "$GUARD_PID"
	wait_until 5 test -S "$GUARD_DIRECTORY/hook.sock" ||
		fail "memguardd does not listen, see $BUILD/bench-memguardd.log"
}

guard_stop()
{
	end_process "$GUARD_PID"
	GUARD_PID=
}

# service_start VARIANT [LIMIT_MIB] - in a cgroup of its own, with a guard if it needs one.
service_start()
{
	local settings=() out

	if [[ $1 == memguard ]]; then
		guard_start
	fi
	variant_environment "$1" settings
	cgroup_create SERVICE_GROUP "$1" "${2-}"
	out=$SCRATCH/service-output
	: >"$out"
	cgroup_run "$SERVICE_GROUP" env -- "${settings[@]}" "$SERVICE" >"$out" 2>&1 &
	SERVICE_PID=$!
	own_process "$SERVICE_PID"
	wait_until 10 grep -q '^READY ' "$out" ||
		fail "$SERVICE ($1) does not start: $(head -n 3 "$out")"
	SERVICE_URL=$(awk '$1 == "READY" { print $2; exit }' "$out")
}

service_stop()
{
	end_process "$SERVICE_PID"
	cgroup_remove "$SERVICE_GROUP"
	if [[ $GUARD_PID ]]; then
		guard_stop
	fi
}

table_head()
{
	printf '\n|'
	printf ' %s |' "$@"
	printf '\n|'
	# The format takes an argument and prints nothing of it.
	printf -- '---%.0s|' "$@"
	printf '\n'
}

table_row()
{
	printf '|'
	printf ' %s |' "$@"
	printf '\n'
}

# variants_prepare - a scratch directory, and the service; after cleanup_at_exit.
variants_prepare()
{
	local program

	((EUID == 0)) || fail "needs root, to create cgroups"
	for program in curl jq python3 wrk; do
		command -v "$program" >/dev/null ||
			fail "$program: not found; try: apt-get install $program"
	done
	make_directory SCRATCH
	: >"$BUILD/bench-memguardd.log"
	if [[ -z $SERVICE ]]; then
		"$SERVICES/build.sh" "$BUILD/services"
		SERVICE=$BUILD/services/webreport
	fi
	[[ -x $SERVICE ]] || fail "$SERVICE: no such program"
}
