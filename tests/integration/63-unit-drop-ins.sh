#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# [X-Memguard] in drop-ins of units: a daemon reads them at its start and when it is told to, all or
# nothing; and what counts of them is what counts for systemd, where that can be asked.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

runtime=$scratch/session/memguard
units=$scratch/config/systemd/user
image=$scratch/image
mkdir -p "$scratch/session" "$units/mine.service.d"
export XDG_RUNTIME_DIR=$scratch/session XDG_CONFIG_HOME=$scratch/config XDG_DATA_HOME=$scratch/data
unset DBUS_SESSION_BUS_ADDRESS

mine()
{
	"$MEMGUARDCTL" --user "$@"
}

# shown VALUE PLACE : so config has it, as text and as JSON.
shown()
{
	mine config | tr -s ' \n' ' ' | tee "$scratch/config.txt" | has -F "[Service mine.service] UsageHigh $1 $2" &&
		mine --json=short config | tee "$scratch/config.json" | has -F "\"file\":\"${2%:*}\",\"line\":${2##*:}"
}

# refused TEXT COMMAND... : fails with status 1, and says so.
refused()
{
	local text=$1 status=0

	shift
	"$@" >"$scratch/told" 2>&1 || status=$?
	cat "$scratch/told"
	[ $status -eq 1 ] && grep -qF -e "$text" "$scratch/told"
}

dropin=$units/mine.service.d/override.conf
printf '[Service]\nEnvironment=A=caf\351 \\\n[X-Memguard]\n\n[X-Memguard]\nUsageHigh=71%%\n' >"$dropin"
"$MEMGUARDD" --user 2>"$scratch/daemon.log" &
started+=($!)
wait_for 20 test -S "$runtime/bus"
claim "a drop-in is read at the start" shown 71% "$dropin:6"
sed -i 's/71%/72%/' "$dropin"
claim "nobody watches it" shown 71% "$dropin:6"
claim "a reload reads it" mine reload
claim "and it is in force" shown 72% "$dropin:6"
printf '[X-Memguard]\nUsageHigh=73\n' >"$units/mine.service.d/z.conf"
claim "a mistake in it is told with its place" refused "$units/mine.service.d/z.conf:2: UsageHigh=73 is not" mine reload
claim "also by verify, which looks where the daemon does" refused "z.conf:2: UsageHigh=73 is not" mine verify
claim "of that file alone, too" refused "z.conf:2: UsageHigh=73 is not" mine verify "$units/mine.service.d/z.conf"
claim "also by its name where it is" refused "z.conf:2: UsageHigh=73 is not" \
	eval '(cd "$units/mine.service.d" && mine verify z.conf)'
claim "the settings in force stay" shown 72% "$dropin:6"
printf '[X-memguard]\nUsageHigh=73\n' >"$units/mine.service.d/z.conf"
claim "another spelling is told by verify" refused "z.conf:1: this is not [X-Memguard]" mine verify
claim "and is no reason to refuse the others" mine reload
claim "but for a word in the log" grep -F "z.conf:1: this is not [X-Memguard]" "$scratch/daemon.log"
rm "$units/mine.service.d/z.conf"
ln -s z.conf "$units/mine.service.d/z.conf"
mkfifo "$units/mine.service.d/pipe.conf"
head -c 3000000 /dev/zero >"$units/mine.service.d/zero.conf"
claim "what cannot be read there is nobody's mistake" mine verify
claim "nor the daemon's" timeout 120 "$MEMGUARDCTL" --user reload
claim "which has read the others" shown 72% "$dropin:6"

# Two keys that nobody has: systemd names those of its section, and we those of ours, with file and
# line, in the order in which they are read.
probe()
{
	mkdir -p "$(dirname "$image/$1")"
	printf '[Service]\nProbe=1\n[X-Memguard]\nProbe=1\n' >"$image/$1"
}

systemd_reads()
{
	SYSTEMD_UNIT_PATH=$image/etc/systemd/system:$image/run/systemd/system:$image/usr/local/lib/systemd/system:$image/usr/lib/systemd/system: \
		systemd-analyze --man=no verify "$1" 2>&1 || true
}

same_order()
{
	systemd_reads "$image/etc/systemd/system/a.service" |
		sed -n "s|^\\($image/[^:]*\\):2: Unknown key .*'Probe'.*|\\1|p" >"$scratch/systemd"
	"$MEMGUARDCTL" --root="$image" verify 2>&1 | sed -n "s|^memguardctl: \\(.*\\):4: there is no option.*|\\1|p" \
		>"$scratch/memguard"
	cat "$scratch/systemd"
	[ "$(wc -l <"$scratch/systemd")" -eq 5 ] && diff "$scratch/systemd" "$scratch/memguard"
}

# One key, and the section that systemd has it in is not ours, or the reverse.
same_section()
{
	local of_systemd=no of_ours=no

	printf '%b' "$1" >"$image/text/a.service.d/a.conf"
	if systemd_reads "$image/text/a.service" | has "Unknown key .*'Probe'.*Service"; then
		of_systemd=yes
	fi
	if "$MEMGUARDCTL" verify "$image/text/a.service.d/a.conf" 2>&1 | has 'there is no option Probe='; then
		of_ours=yes
	fi
	[ $of_systemd != $of_ours ] || { echo "of systemd: $of_systemd, ours: $of_ours: $1"; return 1; }
}

same_sections()
{
	local text status=0

	for text in '[Service]\n' '[X-Memguard]\n' '[X-Memguard]\n[Service]\n' '  [X-Memguard]  \r\n' \
		'[Service]\nA=a \\\n[X-Memguard]\n' '[Service]\nA=a \\\\\n[X-Memguard]\n' \
		'[Service]\nA=a \\\\\\\n[X-Memguard]\n' '[Service]\nA=a \\\n# c\n[X-Memguard]\n' \
		'[Service]\nA=a \\\n# c\n\n[X-Memguard]\n' '[Service]\nA=a \\\r\n[X-Memguard]\r\n' \
		'[Service]\n# c \\\n[X-Memguard]\n' '[Service]\n\\\n[X-Memguard]\n' \
		'[Service]\nA=a\\\n b\\\n[X-Memguard]\n' '[Service]\nA=a\\\n \\\n[X-Memguard]\n' \
		'[Service]\nA=a\0000[X-Memguard]\n' '[Service]\nA=a\\\0000\n[X-Memguard]\n' \
		'[Service]\nA=a\\\n\0000[X-Memguard]\n' '[Service]\nA=a\\\r[X-Memguard]\n' \
		'\0357\0273\0277[X-Memguard]\n' '[X-Memguard]\n[Service]\nA=a \\ \n[X-Memguard]\n'; do
		same_section "${text}Probe=1\n" || status=1
	done
	return $status
}

# It looks first where the unit is.
mkdir -p "$image/etc/systemd/system" "$image/text/a.service.d"
printf '[Service]\nExecStart=/bin/true\n' | tee "$image/text/a.service" >"$image/etc/systemd/system/a.service"
probe usr/lib/systemd/system/a.service.d/20.conf
probe usr/lib/systemd/system/a.service.d/30.conf
probe usr/lib/systemd/system/a.service.d/40.conf
probe usr/lib/systemd/system/a.service.d/90.conf
probe usr/local/lib/systemd/system/a.service.d/90.conf
probe usr/local/lib/systemd/system/a.service.d/9.conf
probe run/systemd/system/a.service.d/10.conf
probe run/systemd/system/a.service.d/20.conf
probe run/systemd/system/a.service.d/B.conf
probe etc/systemd/system/a.service.d/20.conf
: >"$image/run/systemd/system/a.service.d/30.conf"
ln -s /dev/null "$image/etc/systemd/system/a.service.d/40.conf"
printf '[Service]\nProbe=1\n' >"$image/text/a.service.d/a.conf"
if systemd_reads "$image/text/a.service" | has "Unknown key .*'Probe'.*Service"; then
	claim "systemd reads the same files in the same order" same_order
	claim "and takes the same lines for a section" same_sections
else
	echo "# no systemd-analyze that tells unknown keys"
fi
finish
