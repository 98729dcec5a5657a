#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs every test and ends with "N passed, N failed". Installs what is missing, builds
# into build/ and its neighbours.
#
#	tests/check.sh [--quick] [--soak] [--releases]
#
#	--quick     the first build and `make check` alone
#	--releases  all testcases of the VM on Debian 13 too, not only those where a newer systemd,
#	            kernel or glibc can make a difference (15 minutes more)
#	--soak      besides, a million releases in a program that watches every byte (15 to 45
#	            minutes); README.md has the figures

set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
quick=false
soak=false
# What runs on Debian 13 as well: units, limits, signals of the kernel, system calls, AppArmor.
newer=(00-boot 10-service 12-signals 30-systemd 31-notify-reload 32-sandbox 39-apparmor)
for option; do
	case $option in
	--quick) quick=true ;;
	--soak) soak=true ;;
	--releases) newer=() ;;
	*)
		echo "check.sh: $option: no such option; they are --quick, --soak and --releases" >&2
		exit 2
		;;
	esac
done
# Tests wait most of their time, for what shall happen or for what shall not.
jobs=$(($(nproc) + 1))
passed=0
failed=0
skipped=0
failures=()
seconds=()
log=$(mktemp)
trap 'rm -rf "$log" "$log.one" "${stage:-}"' EXIT

say()
{
	printf '== %s (after %d min)\n' "$*" $((SECONDS / 60))
}

# tally RESULT NAME
tally()
{
	case $1 in
	pass) passed=$((passed + 1)) ;;
	skip) skipped=$((skipped + 1)) ;;
	*)
		failed=$((failed + 1))
		failures+=("$2")
		;;
	esac
	[ "$1" = pass ] || printf '%s - %s\n' "$1" "$2"
}

# attempt NAME COMMAND... : one test; 77 is a skip; its output only when it failed.
attempt()
{
	local name=$1 status=0

	shift
	"$@" >"$log" 2>&1 || status=$?
	case $status in
	0) tally pass "$name" ;;
	77)
		tally skip "$name: $(tail -n 1 "$log")"
		;;
	*)
		tally FAIL "$name"
		show_failure "$log"
		;;
	esac
}

# attempt_real SCRIPT
attempt_real()
{
	local name status=0

	name=real/$(basename "$1")
	"$1" "$top/build" >"$log" 2>&1 || status=$?
	case $status in
	0) tally pass "$name" ;;
	77) tally skip "$name: $(tail -n 1 "$log")" ;;
	*) failed_once "$name" "$log" "$1" "$top/build" ;;
	esac
}

# failed_once NAME LOG COMMAND... : shows how, and tells with COMMAND whether it also fails by itself.
# A machine that is shared can stand still in the middle of a test that waits for somebody; who reads
# is told of both runs. What can be nobody's delay stands: a crash, a changed byte, what a sanitizer
# or a fuzzer found, what fails in a build, in a unit test or in a static one. And so does all where
# many fail: then it is not the machine.
failed_once()
{
	local name=$1 how=$2

	shift 2
	printf 'failed - %s\n' "$name"
	show_failure "$how"
	if [ ${#seconds[@]} -lt 3 ] && may_be_chance "$name" "$how" && "$@" </dev/null >/dev/null 2>&1; then
		seconds+=("$name")
		tally pass "$name"
	else
		tally FAIL "$name"
	fi
}

may_be_chance()
{
	case $1 in
	*tests/unit/* | *tests/static/* | *tests/replay/* | *tests/soak/*) return 1 ;;
	esac
	! grep -qE 'Sanitizer|runtime error:|dumped core|Segmentation fault|[Aa]ssert|^not ok .*changed' "$2"
}

# passes_alone BUILD TEST: a skip does not count.
passes_alone()
{
	make -C "$1" check TESTS="$2" | grep '^PASS: '
}

# What failed comes first: a daemon's log behind it may be longer than the end that is shown.
show_failure()
{
	{
		grep -A 2 '^not ok' "$1"
		tail -n 40 "$1"
	} | sed 's/^/    /' || true
}

# make_check BUILD NAME [TARGET]: every test that automake ran counts.
make_check()
{
	local build=$1 name=$2 target=${3:-check} status=0 line

	make -C "$build" -j"$jobs" "$target" >"$log" 2>&1 || status=$?
	if ! grep -qE '^(PASS|FAIL|SKIP|ERROR):' "$log"; then
		tally FAIL "$name: make check did not get as far as the tests"
		tail -n 60 "$log"
		return
	fi
	while read -r line; do
		case $line in
		PASS:*) tally pass "$line" ;;
		SKIP:*) tally skip "$name: ${line#SKIP: }" ;;
		*)
			line=${line#*: }
			cp "$build/${line%.sh}.log" "$log.one" || true
			failed_once "$name: $line" "$log.one" passes_alone "$build" "$line"
			;;
		esac
	done < <(grep -E '^(PASS|FAIL|XPASS|SKIP|ERROR): ' "$log")
}

configure_and_make()
{
	local build=$1

	shift
	mkdir -p "$build"
	(cd "$build" && "$top/configure" --enable-developer "$@" && make -j"$(nproc)")
}

# units_of_newer_systemd BUILD: as configure makes them when told so.
units_of_newer_systemd()
{
	mkdir -p "$1"
	(cd "$1" && "$top/configure" --prefix=/usr --sysconfdir=/etc --with-notify-reload &&
		make etc/memguard.service etc/user/memguard.service) &&
		grep -qx Type=notify-reload "$1/etc/memguard.service" &&
		grep -qx Type=notify-reload "$1/etc/user/memguard.service" &&
		"$top/tests/static/check-unit.sh" "$1/etc/memguard.service"
}

# run_vm RELEASE [TESTCASE...] : each of them counts. A release may be out of this machine's reach.
run_vm()
{
	local release=$1 status=0 line
	local vm=("$top/tests/vm/run.sh" --release="$1" --stage="$stage/root" --extra="$stage/extra")

	shift
	"${vm[@]}" --timeout=2400 "$@" 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
	if ! grep -qE '^(ok|not ok|skip) - ' "$log"; then
		if [ "$status" = 77 ] && [ "$release" != bookworm ]; then
			tally skip "vm $release: $(tail -n 1 "$log")"
		else
			tally FAIL "vm $release: no testcase ran"
		fi
		return
	fi
	while read -r line; do
		case $line in
		"ok - "*) tally pass "vm $release: $line" ;;
		"skip - "*) tally skip "vm $release: ${line#skip - }" ;;
		"not ok - "*)
			line=${line#not ok - }
			failed_once "vm $release: $line" "$log" "${vm[@]}" "${line%% *}"
			;;
		esac
	done < <(grep -E '^(ok|not ok|skip) - ' "$log")
}

# all_files_in TARBALL : those that git knows, but for what only git and editors read.
all_files_in()
{
	local missing

	missing=$(comm -23 <(git -C "$top" ls-files | grep -v '^\.' | sort) \
		<(tar tf "$1" | sed 's,^[^/]*/,,' | sort))
	echo "$missing"
	[ -z "$missing" ]
}

say "installing what is missing"
"$top/tests/install.sh"

say "building with gcc"
"$top/tests/build.sh" "$top/build"

say "make check"
make_check "$top/build" gcc
sed -n 's/^/   /p' "$top/build/tests/soak/run.log" || true

if $soak; then
	say "soak, a million releases"
	for seed in 1 2; do
		attempt "soak, half a million releases, seed $seed" env SOAK_SEED="$seed" \
			"$top/tests/soak/run.sh" "$top/build" --releases=500000
		# The sums are the last lines, behind those of each minute.
		tail -n 3 "$log" | sed 's/^/   /'
	done
fi

if ! $quick; then
	# Mostly downloads. A run of the VM waits for its image, makes it if this could not, and says why.
	for release in bookworm trixie; do
		nice "$top/tests/vm/run.sh" --release=$release --prepare || true
	done </dev/null >/dev/null 2>&1 &

	say "building with clang, address and undefined behaviour sanitizers"
	attempt "clang builds without warnings" configure_and_make "$top/build-clang" CC=clang \
		CFLAGS='-g -O1' --with-sanitizer=address,undefined
	make_check "$top/build-clang" clang-sanitized

	say "building with clang, thread sanitizer"
	attempt "clang builds with the thread sanitizer" configure_and_make "$top/build-tsan" CC=clang \
		CFLAGS='-g -O1' --with-sanitizer=thread
	make_check "$top/build-tsan" clang-threads check-unit

	say "fuzzing for a moment"
	attempt "fuzz targets build" configure_and_make "$top/build-fuzz" CC=clang CFLAGS='-g -O1' \
		--enable-fuzz
	attempt "fuzz targets find nothing" make -C "$top/build-fuzz" fuzz FUZZ_SECONDS=10

	# What the tarball is for: it has all files, builds, installs and leaves nothing. Most tests
	# of what it builds have been run above, see tests/run.sh.
	say "make distcheck"
	attempt "distcheck" env FROM_TARBALL=1 make -C "$top/build" distcheck \
		DISTCHECK_CONFIGURE_FLAGS=
	attempt "every file is in the tarball" all_files_in "$top"/build/memguard-*.tar.*

	say "packaging"
	attempt "units with Type=notify-reload" units_of_newer_systemd "$top/build-reload"
	attempt "deb" "$top/tests/deb.sh" "$top/build/deb"

	say "real programs"
	attempt "their packages" "$top/tests/install.sh" "$top/tests/real/packages"
	for script in "$top"/tests/real/[0-9]*.sh; do
		attempt_real "$script"
	done

	say "virtual machine, Debian 12 (about 20 minutes)"
	stage=$(mktemp -d)
	attempt "make install" make -C "$top/build" install DESTDIR="$stage/root"
	attempt "services build" "$top/tests/services/build.sh" "$top/build/services"
	mkdir -p "$stage/extra"
	cp "$top/build/services/webreport" "$top/build/tests/shim/retainer" \
		"$top"/build/deb/*.deb "$stage/extra/" || true
	attempt "the programs of the verdicts build" "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O1 -pthread \
		-o "$stage/extra/verdict-subject" "$top/tests/integration/verdict-subject.c" -ldl
	attempt "the program of the hurry builds" "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O1 -pthread \
		-o "$stage/extra/chased" "$top/tests/vm/chased.c"
	mkdir -p "$stage/extra/notify-reload/user"
	cp "$top/build-reload/etc/memguard.service" "$stage/extra/notify-reload/" || true
	cp "$top/build-reload/etc/user/memguard.service" "$stage/extra/notify-reload/user/" || true
	run_vm bookworm
	say "virtual machine, Debian 13"
	run_vm trixie ${newer[@]+"${newer[@]}"}
fi

# Once more, where a long log is looked at first.
if [ ${#seconds[@]} -gt 0 ]; then
	printf 'FAILED ONCE, passed alone: %s\n' "${seconds[@]}"
fi
if [ $failed -gt 0 ]; then
	printf 'FAILED: %s\n' "${failures[@]}"
fi
if [ $skipped -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
