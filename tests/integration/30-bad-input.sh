#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each mistake gets one clear message that says what to do, the right exit status, and
# loses nothing.

. "$(dirname "$0")/lib.sh"

# fails STATUS REGEX COMMAND... : exactly that status, and a message that matches.
fails()
{
	local status=0 expected=$1 regex=$2

	shift 2
	"$@" >"$scratch/message" 2>&1 || status=$?
	cat "$scratch/message"
	[ $status -eq "$expected" ] || { echo "status $status, not $expected"; return 1; }
	grep -qE -e "$regex" "$scratch/message"
}

with_config()
{
	printf '%b' "$1" >"$scratch/bad.conf"
	ctl verify "$scratch/bad.conf"
}

long=$(printf 'x%.0s' $(seq 300))
claim "no daemon: says how to start one" fails 1 'not running.*start' ctl list
claim "no daemon: status is 3" fails 3 'not running' ctl status
claim "unknown section" fails 1 'bad.conf:1: .*Trigge' with_config '[Trigge]\n'
claim "unknown key" fails 1 'bad.conf:2: .*UsageHihg' with_config '[Trigger]\nUsageHihg=3\n'
claim "bad unit" fails 1 'bad.conf:2: ' with_config '[Trigger]\nRetainedHigh=3Q\n'
claim "out of range" fails 1 'bad.conf:2: ' with_config '[Trigger]\nUsageHigh=180%\n'
claim "line too long" fails 1 'bad.conf:2: .*long' with_config "[Alert]\nExec=/bin/$long\n"
claim "duplicate section" fails 1 'bad.conf:3: ' with_config '[Trim]\nMinRelease=1M\n[Trim]\n'
claim "critical below high" fails 1 'UsageCritical' with_config '[Trigger]\nUsageHigh=90%\nUsageCritical=80%\n'
claim "below one that is nowhere written" fails 1 'bad.conf:2: .*UsageHigh=95%; UsageCritical=92%, the default' \
	with_config '[Trigger]\nUsageHigh=95%\n'
claim "a threshold without room above it" fails 1 'less than 100%' with_config '[Trigger]\nUsageHigh=100%\n'
claim "a program that is not there" fails 1 'bad.conf:2: Exec=.*is no program' with_config \
	'[Alert]\nExec=/nonexistent/page me\n'
claim "one that is" with_config '[Alert]\nExec=/bin/sh -c true\n'
claim "verify: no such root" fails 1 'nowhere is no directory' ctl --root="$scratch/nowhere" verify
mkdir "$scratch/bare"
claim "verify: where there is no file that is said" eval \
	'ctl --root="$scratch/bare" verify | has "no file to read: all defaults"'
mkdir -p "$scratch/image/etc/memguard/memguard.conf.d/20-b.conf"
ln -s /nonexistent "$scratch/image/etc/memguard/memguard.conf"
ln -s /nonexistent "$scratch/image/etc/memguard/memguard.conf.d/10-a.conf"
claim "verify: a link to nothing" fails 1 'memguard.conf: is a link to nothing' \
	ctl --root="$scratch/image" verify
claim "also as a drop-in" grep -q '10-a.conf: is a link to nothing' "$scratch/message"
claim "and a directory in its place" grep -q '20-b.conf: is a directory' "$scratch/message"
mkdir -p "$scratch/linked/etc/memguard" "$scratch/linked/opt" "$scratch/linked/bin"
printf '[Alert]\nExec=/bin/page\n' >"$scratch/linked/etc/memguard/memguard.conf"
printf '#!/bin/sh\n' >"$scratch/linked/opt/page"
chmod 755 "$scratch/linked/opt/page"
ln -s /opt/page "$scratch/linked/bin/page"
claim "verify: a program that is a link is looked for below the root" ctl --root="$scratch/linked" verify
ln -sf "$(command -v sh)" "$scratch/linked/bin/page"
claim "one of the host's is none there" fails 1 'memguard.conf:2: Exec=.*is no program' \
	ctl --root="$scratch/linked" verify
mkdir -p "$scratch/there/etc/memguard" "$scratch/there/usr/share/site/drop-ins"
ln -s /usr/share/site/memguard.conf "$scratch/there/etc/memguard/memguard.conf"
ln -s /usr/share/site/drop-ins "$scratch/there/etc/memguard/memguard.conf.d"
printf '[Trigger]\nUsageHigh=lots\n' >"$scratch/there/usr/share/site/memguard.conf"
printf '[Trim]\nMethod=gentle\n' >"$scratch/there/usr/share/site/drop-ins/10-a.conf"
ln -s /dev/null "$scratch/there/usr/share/site/drop-ins/20-b.conf"
claim "verify: so are files of the configuration that are links" fails 1 'memguard.conf:2: UsageHigh=lots' \
	ctl --root="$scratch/there" verify
claim "and a directory that is one" grep -q '10-a.conf:2: Method=gentle' "$scratch/message"
claim "what is switched off there is no link to nothing" eval '! grep -q 20-b.conf "$scratch/message"'
printf '[Trigger]\nUsageHigh=lots\n' >"$scratch/host.conf"
ln -s "$scratch/host.conf" "$scratch/there/usr/share/site/drop-ins/30-c.conf"
claim "one to a file of the host is" fails 1 '30-c.conf: is a link to nothing' ctl --root="$scratch/there" verify
claim "missing file" fails 1 'nowhere.conf' ctl verify "$scratch/nowhere.conf"
claim "a good file" with_config '[Trigger]\nUsageHigh=70%\n'
claim "a hierarchy that is none: says what to do" fails 1 'as the cgroup hierarchy: .*; name the directory' \
	"$MEMGUARDD" --config=/dev/null --runtime-directory="$scratch/none" --cgroup-root="$scratch"
claim "unknown verb" fails 2 'frobnicate' ctl frobnicate
claim "unknown verb, nearly one" fails 2 'did you mean "status"\?' ctl statsu
claim "unknown option" fails 2 'help' ctl --frobnicate
claim "an option of another verb" fails 2 '--method is not for "status", but for: trim diagnose;' ctl --method=full status
claim "wherever it stands" fails 2 '--limit is not for "list", but for: run;' ctl list --limit=5M
claim "a command is not run in the place of the user's daemon" fails 2 '--user is not for "run", but for: status ' \
	env XDG_RUNTIME_DIR="$scratch" "$MEMGUARDCTL" --user run -- true
claim "missing argument" fails 2 'trim' ctl trim
claim "daemon: unknown option" fails 2 'help' "$MEMGUARDD" --frobnicate
claim "daemon: stray argument" fails 2 'stray' "$MEMGUARDD" stray
claim "daemon: missing config" fails 1 'nowhere.conf' "$MEMGUARDD" --runtime-directory="$runtime" \
	--config="$scratch/nowhere.conf"
claim "daemon: runtime directory missing" fails 1 'runtime-directory' "$MEMGUARDD" \
	--runtime-directory="$scratch/no/such/place"
touch "$scratch/file"
claim "daemon: runtime directory is a file" fails 1 'runtime-directory' "$MEMGUARDD" \
	--runtime-directory="$scratch/file"
claim "daemon: no such cgroup root" fails 1 'cgroup' "$MEMGUARDD" --runtime-directory="$runtime" \
	--cgroup-root="$scratch/nothing"

mkdir -p "$scratch/stale"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$scratch/stale/bus"
claim "a socket that nobody serves" fails 1 "not running \(nobody listens at $scratch/stale/bus\)" \
	"$MEMGUARDCTL" --runtime-directory="$scratch/stale" list

start_daemon '[Trigger]\nUsageHigh=77%\n'
claim "a second daemon on the directory" fails 1 'Another memguardd' "$MEMGUARDD" \
	--runtime-directory="$runtime" --config="$scratch/memguard.conf"
claim "pid that is gone" fails 1 '999999' ctl show 999999
claim "a number that is no pid is no service to be added either" eval \
	'! ctl show 99999999999 >"$scratch/message" 2>&1 && ! grep -q "enable 99999999999" "$scratch/message"'
claim "pid that is not hooked" fails 1 "$$" ctl trim $$
claim "unit that does not exist" fails 1 'nosuch.service' ctl explain nosuch.service
claim "unknown knob" fails 2 'ArenaMax|arena' ctl tune $$ Frobnicate=3
for verb in list show explain diagnose history record trim; do
	claim "$verb: an empty name is not everything" fails 2 'WHAT is empty' ctl $verb ""
done
claim "tune: nor is it" fails 2 'WHAT is empty' ctl tune "" TopPad=1M
claim "no way back from a cap of arenas" fails 2 'no way back' ctl tune $$ ArenaMax=0
claim "tune without value" fails 2 'KEY=VALUE' ctl tune $$ ArenaMax

(MEMGUARD=disabled MEMGUARD_AGENT=always hooked sleep 300) &
started+=($!)
claim "a word of MEMGUARD that nobody knows: the program is a member" wait_for 20 is_member $!
claim "and is shown with where to look" eval 'ctl show $! | tr -s " \n" " " | has "MEMGUARD.* was ignored.*/proc/$!/environ"'

printf '[Cgroup /*]\nUsageHigh=85%%\n[Cgroup /?*]\nUsageCritical=83%%\n' >"$scratch/memguard.conf"
claim "overrides that contradict each other where they meet" ctl reload
claim "are told with both places, once" eval \
	'[ "$(grep -c "UsageHigh=85% of .*memguard.conf:2 and UsageCritical=83% of .*memguard.conf:4" "$scratch/daemon.log")" = 1 ]'
rm "$scratch/memguard.conf"
mkfifo "$scratch/memguard.conf"
claim "a pipe is no configuration, and nobody waits for its writer" fails 1 'memguard.conf: .*pipe' \
	timeout 120 "$MEMGUARDCTL" --runtime-directory="$runtime" reload
claim "nor does the daemon" timeout 120 "$MEMGUARDCTL" --runtime-directory="$runtime" status
rm "$scratch/memguard.conf"
printf '[Trigger]\nUsageHigh=7\n' >"$scratch/memguard.conf"
claim "a bad reload fails and names the line" fails 1 'memguard.conf:2' ctl reload
claim "and keeps the settings in force" eval 'ctl --json=short config | has 83%'
claim "with how to check the file that the daemon reads" grep -F "memguardctl verify $scratch/memguard.conf\"" "$scratch/message"
claim "config names it too" eval 'ctl config | tr -s " \n" " " | grep -F "memguardctl verify $scratch/memguard.conf,"'
printf '[Trigger]\nUsageHigh=7\nFoo=1\n[Bar]\nno pair\n' >"$scratch/memguard.conf"
ctl reload >"$scratch/told" 2>&1 || true
claim "every mistake is told to whoever asked" eval \
	'[ "$(grep -cE "^memguardctl: .*memguard.conf:[2345]: " "$scratch/told")" = 4 ]'
claim "status has the first" eval 'ctl status | has "memguard.conf:2"'
claim "config says that what it shows is not of these files" eval \
	'ctl config | has "^These are the older settings, .*memguard.conf:2: .*memguardctl reload$"'
{ echo "[Guard]"; for i in $(seq 200); do echo "Wrong$i=1"; done; } >>"$scratch/memguard.conf"
claim "of very many as many as fit" fails 1 'and [0-9]+ more, in the journal' ctl reload
n=$(grep -c "memguard.conf:2" "$scratch/daemon.log")
kill -HUP "$daemon"
claim "SIGHUP with a bad file too" wait_for 10 eval '[ "$(grep -c "memguard.conf:2" "$scratch/daemon.log")" -gt "$n" ]'
claim "the daemon lives" ctl status
finish
