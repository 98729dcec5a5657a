#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Where memory can be seen, and by which signals: on a hierarchy as it is, one that is
# read-only, inside a container of its own cgroup namespace, and with no hierarchy at all.
# Whatever is missing is named by `status`, and the rest does the work.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups and namespaces"
unshare --mount --cgroup true 2>/dev/null || skip "may not make namespaces here"
make_group 4000
mkdir "$group/a"
real_daemon=$MEMGUARDD

# world COMMANDS [UNSHARE-OPTION...] : a daemon that sees what they leave.
world()
{
	local commands=$1

	shift
	cat >"$scratch/memguardd" <<-EOF2
		#!/bin/sh
		echo 0 >"$group/cgroup.procs"
		exec unshare --mount $* sh -c '$commands; exec "\$@"' sh "$real_daemon" "\$@"
	EOF2
	chmod +x "$scratch/memguardd"
	MEMGUARDD=$scratch/memguardd
	start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=10%\nMachinePressureSome=99%\nOomEtaSec=0\n[Trim]\nCooldownSec=1s\n'
}

end_world()
{
	exec 9>&-
	echo -1 >"$group/memory.limit_in_bytes"
	kill "$daemon"
	wait "$daemon" 2>/dev/null || true
	wait "$retainer" 2>/dev/null || true
}

# lower : the limit of the group above, so far that the program is in its way.
lower()
{
	echo $((225 << 20)) >"$group/memory.limit_in_bytes"
}

# gives_back : once the limit is low.
gives_back()
{
	lower
	wait_for 30 rss_is_below "$retainer" 100
}

# signals NAME KEY : of the daemon
signals()
{
	ctl --json=short status | jq -r ".signals.$1.$2"
}

says()
{
	ctl status | has -E -e "$1"
}

world :
retainer_group=$group/a start_retainer 200
claim "the limit of the group above makes it give back" gives_back
claim "a usage threshold is armed" wait_for 10 eval '[ "$(signals usage_threshold armed)" -ge 1 ]'
claim "the pressure level too" eval '[ "$(signals pressure_level armed)" -ge 1 ]'
claim "status names both" says 'Signals:.*usage thresholds, pressure levels'
claim "explain has them for the group" eval 'ctl explain "$retainer" | has "Signals:.*pressure levels"'
if [ -w /proc/pressure/memory ]; then
	claim "the machine's pressure is watched" eval '[ "$(signals machine_pressure armed)" = 1 ]'
fi
if [ -d /sys/fs/cgroup/unified ] && [ ! -e "/sys/fs/cgroup/unified${group#/sys/fs/cgroup/memory}" ]; then
	claim "a hybrid layout is known as one" says 'Sensing:.*v1 \(hybrid\)'
	claim "a group without pressure files is named" says 'Without:.*pressure of groups'
fi
printf '[Trigger]\nRetainedHigh=0\nPressureSome=0\nMachinePressureSome=0\n' >"$scratch/memguard.conf"
ctl reload
claim "what is switched off is neither armed nor missing" eval \
	'[ "$(signals pressure_level armed)$(signals pressure_level failed)$(signals machine_pressure armed)" = 000 ]'
end_world

world 'mount -o remount,ro,bind /sys/fs/cgroup/memory'
retainer_group=$group/a start_retainer 200
claim "on a read-only hierarchy sampling does it" gives_back
claim "which is named, with the reason" says 'Without:.*usage thresholds \(Read-only file system\)'
claim "no complaint at each look" eval '[ "$(grep -c "Cannot arm a usage threshold" "$scratch/daemon.log")" -le 3 ]'
end_world

world 'umount -l /sys/fs/cgroup/memory; mount -t cgroup -o memory memory /sys/fs/cgroup/memory' --cgroup
retainer_group=$group/a start_retainer 200
claim "in a container the limit of the visible root counts" gives_back
claim "the group is named as seen from there" eval \
	'[ "$(ctl --json=short explain "$retainer" | jq -r ".[0].path")" = /a ]'
end_world

world 'mount -t tmpfs none /sys/fs/cgroup'
retainer_group=$group/a start_retainer 200
claim "without any hierarchy members are watched by their RSS" \
	wait_for 20 eval '[ "$(ctl --json=short explain "$retainer" | jq -r ".[0].kind")" = rss ]'
claim "status says so" says 'Sensing:.*RSS only'
claim "they can still be asked" eval 'ctl trim "$retainer" && rss_is_below "$retainer" 100'
end_world

# start_with TEXT [OPTION...] : a daemon on the system's files, of which one says that, and one is
# a link to nothing.
start_with()
{
	echo "$1" >"$scratch/50-test.conf"
	shift
	# shellcheck disable=SC2016 # for the shell in there
	unshare --mount sh -c 'mount -t tmpfs none /run && mkdir -p /run/memguard/memguard.conf.d &&
		ln -s /nonexistent /run/memguard/memguard.conf.d/60-nothing.conf &&
		cp "$1" /run/memguard/memguard.conf.d/ && shift && exec "$@"' sh "$scratch/50-test.conf" \
		"$real_daemon" --log-level=debug --runtime-directory="$runtime" "$@" 2>>"$scratch/daemon.log" &
	daemon=$!
	started+=("$daemon")
	wait_for 20 ctl status >"$scratch/status" 2>&1
}

if [ -w /proc/pressure/memory ]; then
	start_with '[Nonsense]'
	claim "with a bad configuration the defaults hold" \
		logged 'Starting with the compiled-in defaults.*"memguardctl reload"'
	claim "that of the machine's pressure as well" eval '[ "$(signals machine_pressure armed)" = 1 ]'
	end_world
	start_with '[Nonsense]' --user
	claim "whose daemon is to read it again is said" \
		logged 'Starting with the compiled-in defaults.*"memguardctl --user reload"'
	end_world
	start_with '[Trigger]'
	claim "a link to nothing is warned of" logged '60-nothing.conf: is a link to nothing'
	claim "and refuses nothing" eval '[ "$(ctl --json=short status | jq -r .config_state)" = ok ]'
fi
finish
