#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What oomd.sh runs in the test VM: grower.c in a service below a slice, under nobody, under
# systemd-oomd with ManagedOOMMemoryPressure=kill on that slice, and under memguard. Prints a
# line "row: LIMITS | GUARD | OUTCOME | DETAILS" for each run.
# timeout: 2400

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
need_extra grower systemd-oomd.deb

RUNS=2
UNIT=grower.service
SLICE=oomdbench.slice
RETAINED_MIB=128
TO_MIB=224
KIB_PER_SEC=8192
# Far longer than the growth takes, and than the 20 s that systemd-oomd waits for: it is stuck then.
STUCK_SEC=60
CONF=/etc/memguard/memguard.conf.d/oomd.conf
# shellcheck disable=SC2016 # perl's variables
THRASH='my $held = "x" x 134217728;
	while (1) { for (my $i = 0; $i < 134217728; $i += 4096) { substr($held, $i, 1) = "y" } }'

# What is retained is to be there still when the growth begins.
prepare()
{
	dpkg --install "$EXTRA/systemd-oomd.deb"
	systemctl daemon-reload
	systemctl stop systemd-oomd.socket systemd-oomd.service
	mkdir -p "${CONF%/*}"
	printf '[Trigger]\nRetainedHigh=0\n' >$CONF
	mkfifo /run/grower
}

# slice LINE... - the slice of the services, with these settings.
slice()
{
	printf '%s\n' '[Slice]' "$@" >/run/systemd/system/$SLICE
	systemctl daemon-reload
}

guard_start()
{
	case $1 in
	nobody) slice ;;
	systemd-oomd)
		slice ManagedOOMMemoryPressure=kill
		systemctl start systemd-oomd.service ;;
	memguard)
		slice
		systemctl start memguard.socket memguard-control.socket memguard.service ;;
	esac
}

guard_stop()
{
	case $1 in
	systemd-oomd) systemctl stop systemd-oomd.socket systemd-oomd.service ;;
	memguard) systemctl stop memguard.service memguard.socket memguard-control.socket ;;
	esac
}

# retains - the daemon knows what it retains, and is done with what it does at first.
retains()
{
	local said

	said=$(memguardctl --json=short list $UNIT 2>/dev/null) || return 1
	(($(grep -oE '"retained_bytes":[0-9]+' <<<"$said" | cut -d: -f2) > RETAINED_MIB << 19))
}

said()
{
	grep -q "^$1" /run/grower.out
}

finished()
{
	said reached || ! unit_is $UNIT active
}

# outcome - by whom, if at all.
outcome()
{
	if unit_is $UNIT active; then
		if said reached; then echo saved; else echo stuck; fi
	elif journal_has "Killed .*/$UNIT due to" --unit=systemd-oomd.service; then
		echo "killed by systemd-oomd"
	else
		echo "killed by the kernel"
	fi
}

# one GUARD NAME PROPERTY... - a run in a service with these limits.
one()
{
	local guard=$1 name=$2 settings=() began used

	shift 2
	CURSOR=$(journalctl --lines=0 --show-cursor --quiet | sed -n 's/^-- cursor: //p')
	[[ $guard != memguard ]] || settings=(--setenv=LD_PRELOAD=libmemguard-hook.so)
	: >/run/grower.out
	exec 5<>/run/grower
	unit_start $UNIT --slice=$SLICE "${settings[@]}" "${@/#/--property=}" \
		--property=StandardOutput=file:/run/grower.out --property=StandardInput=file:/run/grower \
		-- "$EXTRA/grower" $RETAINED_MIB 8 0 $TO_MIB $KIB_PER_SEC
	wait_for 120 said ready
	[[ $guard != memguard ]] || wait_for 120 retains
	used=$(($(cat "$(unit_cgroup $UNIT)/memory.current") >> 20))
	began=$SECONDS
	echo >&5
	while ! finished && ((SECONDS - began < STUCK_SEC)); do
		sleep 0.2
	done
	# Whoever killed it may still be about to say so.
	sleep 1
	echo "row: $name | $guard | $(outcome) | from $used MiB, $((SECONDS - began)) s, $(pressure)," \
		"$(tr '\n' ' ' </run/grower.out)" | tee /dev/console
	[[ $guard != systemd-oomd ]] || oomctl | sed 's/^/    /'
	journal --unit=memguard.service --unit=systemd-oomd.service
	exec 5>&-
	systemctl stop $UNIT 2>/dev/null || true
	systemctl reset-failed $UNIT 2>/dev/null || true
}

pressure()
{
	sed -n 's/^full/full pressure/p' "/sys/fs/cgroup/$SLICE/memory.pressure" 2>/dev/null || echo "no slice"
}

rows()
{
	local guard run

	for guard in nobody systemd-oomd memguard; do
		guard_start $guard
		for ((run = 0; run < RUNS; run++)); do
			one $guard "$@"
		done
		guard_stop $guard
	done
}

# With MemoryHigh= the kernel slows it down before it kills it, and that is pressure.
testcase_1_rows()
{
	prepare
	rows "MemoryMax=256M" MemoryMax=256M MemorySwapMax=0
	rows "MemoryHigh=240M" MemoryHigh=240M MemoryMax=256M MemorySwapMax=0
	rm $CONF
}

# So that above it is known to have been at work: with swap the kernel scans for pages to take,
# without which systemd-oomd never acts, however high the pressure is.
testcase_2_systemd_oomd_can_kill()
{
	dd if=/dev/zero of=/var/tmp/swap bs=1M count=192 status=none
	chmod 600 /var/tmp/swap
	mkswap -q /var/tmp/swap
	swapon /var/tmp/swap
	guard_start systemd-oomd
	unit_start thrash.service --slice=$SLICE --property=MemoryHigh=64M -- perl -e "$THRASH"
	wait_for 300 journal_has 'Killed .*/thrash.service due to' --unit=systemd-oomd.service
	echo "row: 128 MiB used in turn in 64 MiB and swap | systemd-oomd | killed by systemd-oomd | -"
	guard_stop systemd-oomd
	swapoff /var/tmp/swap
}

run_testcases
