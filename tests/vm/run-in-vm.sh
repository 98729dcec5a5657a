#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the inside of the test VM: lays the installed tree over /, runs every testcase of
# the payload in a unit of its own, and writes what happened to the results disk.
#
# Started by memguard-test.service of the image (see image.sh), which powers off when this
# ends. For each testcase leaves NAME.log, NAME.status and perhaps NAME.skip; at the end
# journal.log and done. Its own output goes to the serial console.

set -euo pipefail

PAYLOAD=/payload
RESULTS=/results
RESULTS_DISK=/dev/disk/by-id/virtio-results
DEFAULT_TIMEOUT=120

say()
{
	printf 'vm: %5s %s\n' "$(cut -d. -f1 /proc/uptime)" "$*"
}

# Called after each testcase, so that a kernel panic in the next one loses nothing.
save_results()
{
	tar -cf "$RESULTS_DISK" -C "$RESULTS" .
	sync
}

# A stage may carry lib/ as a directory where the image has a link to usr/lib, and its
# top directory has the mode of a temporary one: neither may replace what is there.
overlay_stage()
{
	if [[ ! -f $PAYLOAD/stage.tar ]]; then
		return 0
	fi
	say "installing the stage"
	tar -xf "$PAYLOAD/stage.tar" -C / --keep-directory-symlink --no-overwrite-dir
	ldconfig
	systemd-sysusers
	systemd-tmpfiles --create
	journalctl --update-catalog
	systemctl daemon-reload
	# dbus-daemon watches its policy folders, but a test must not race the watch.
	busctl --quiet call org.freedesktop.DBus /org/freedesktop/DBus \
		org.freedesktop.DBus ReloadConfig
}

# A testcase that needs longer than the default says "# timeout: SECONDS" on a line.
timeout_of()
{
	local seconds

	seconds=$(sed -n 's/^# timeout: \([0-9]*\)$/\1/p' "$1")
	echo "${seconds:-$DEFAULT_TIMEOUT}"
}

# In a unit of its own: whatever a testcase leaves running ends with it, and an OOM kill
# inside of it cannot reach this driver. systemd-run takes its status from the bus, and calls it
# a success when a testcase restarts that: so it is left in a file.
run_testcase()
{
	local script=$1 name=$2 status=0 unit=testcase-$2.service
	local properties=(
		--property=OOMPolicy=continue
		--property=KillMode=control-group
		--property=TimeoutStopSec=10
	)
	local environment=(
		--setenv=TEST_NAME="$name"
		--setenv=TEST_RESULTS="$RESULTS"
		--setenv=PAYLOAD="$PAYLOAD"
	)

	say "running $name"
	# shellcheck disable=SC2016 # of the shell in the unit
	systemd-run --quiet --wait --pipe --collect --unit="$unit" \
		--working-directory=/ "${properties[@]}" "${environment[@]}" \
		sh -c 'status=0; timeout --kill-after=10 "$1" bash "$2" || status=$?
			echo $status >"$3"; exit $status' \
		- "$(timeout_of "$script")" "$script" "$RESULTS/$name.status" \
		</dev/null >"$RESULTS/$name.log" 2>&1 || status=$?
	while systemctl is-active --quiet "$unit"; do
		sleep 0.2
	done
	[[ -s $RESULTS/$name.status ]] || echo "$((status > 0 ? status : 1))" >"$RESULTS/$name.status"
	say "finished $name with status $(cat "$RESULTS/$name.status")"
	systemctl reset-failed
}

# Also when this driver itself fails, because then the journal is all there is.
finish()
{
	journalctl --sync || true
	journalctl --boot --no-pager --output=short-monotonic >"$RESULTS/journal.log" || true
	save_results
}

main()
{
	local script name

	mkdir -p "$RESULTS"
	trap finish EXIT
	overlay_stage
	# The boot is over when systemd says so; a unit that hangs in it is a finding of
	# testcase 00, not a reason to wait for ever.
	timeout 60 systemctl is-system-running --wait || true
	for script in "$PAYLOAD"/testcase-*.sh; do
		name=${script##*/testcase-}
		name=${name%.sh}
		run_testcase "$script" "$name"
		save_results
	done
	touch "$RESULTS/done"
	say "done"
}

main "$@"
