#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# On a system bus of its own: what another user may ask the daemon for is what the policy
# file and polkit let him, and the daemon waits for neither.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root to become another user"
for program in setpriv dbus-daemon busctl; do
	command -v $program >/dev/null || skip "no $program here"
done

etc=$(cd "$(dirname "$0")/../../etc" && pwd)
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$scratch/system_bus
service=(org.memguard.Manager1 /org/memguard/Manager1 org.memguard.Manager1)
log_control=(org.memguard.Manager1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1)
polkit=

# As on a machine: nothing may be owned or called but what a policy file allows.
start_bus()
{
	cat >"$scratch/bus.conf" <<-EOF2
	<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
	 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
	<busconfig>
	  <type>system</type>
	  <listen>$DBUS_SYSTEM_BUS_ADDRESS</listen>
	  <auth>EXTERNAL</auth>
	  <policy context="default">
	    <allow user="*"/>
	    <deny own="*"/>
	    <deny send_type="method_call"/>
	    <allow send_type="signal"/>
	    <allow send_requested_reply="true" send_type="method_return"/>
	    <allow send_requested_reply="true" send_type="error"/>
	    <allow receive_type="method_call"/>
	    <allow receive_type="method_return"/>
	    <allow receive_type="error"/>
	    <allow receive_type="signal"/>
	    <allow send_destination="org.freedesktop.DBus"/>
	    <allow send_destination="org.freedesktop.PolicyKit1"/>
	  </policy>
	  <policy user="root">
	    <allow own="org.freedesktop.PolicyKit1"/>
	  </policy>
	  <include>$etc/memguard-dbus.conf</include>
	</busconfig>
	EOF2
	dbus-daemon --config-file="$scratch/bus.conf" --nofork --nopidfile 2>"$scratch/bus.log" &
	dbus=$!
	started+=("$dbus")
	wait_for 20 test -S "$scratch/system_bus"
}

# polkit_says MANNER : from now on.
polkit_says()
{
	if [ -n "$polkit" ]; then
		kill "$polkit"
		wait "$polkit" || true
	fi
	# The one before was ready, too.
	rm -f "$scratch/polkit"
	"$shims/fake-polkit" "$1" >"$scratch/polkit" &
	polkit=$!
	started+=("$polkit")
	wait_for 20 grep -q ready "$scratch/polkit"
}

as_other()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# other METHOD ... : busctl's call of ours by another user, who is not there to be asked.
other()
{
	as_other busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" --timeout=60 \
		--allow-interactive-authorization=no call "${service[@]}" "$@"
}

# denied TEXT COMMAND... : fails, and says so with this text.
denied()
{
	local text=$1

	shift
	! "$@" >"$scratch/denied" 2>&1 && { cat "$scratch/denied"; grep -qiE "$text" "$scratch/denied"; }
}

owns_its_name()
{
	busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" list 2>/dev/null | has org.memguard.Manager1
}

asked()
{
	grep -qx "$1" "$scratch/polkit"
}

chmod 755 "$scratch"
start_bus
start_daemon
wait_for 20 owns_its_name
start_retainer 64
wait_for 20 is_member "$retainer"

claim "anybody may ask how things are" other GetStatus
claim "the interface describes itself to anybody" as_other busctl \
	--address="$DBUS_SYSTEM_BUS_ADDRESS" introspect "${service[@]:0:2}"
claim "another's process is not there for him" eval \
	"[ \"\$(other ListMembers s '')\" = 'aa{sv} 0' ]"

claim "without polkit he may not trim" denied 'only root|access denied' other Trim s "$retainer"
claim "nor reload" denied 'only root|access denied' other Reload

polkit_says no
claim "nor where polkit says no" denied 'only root|access denied' other Trim s "$retainer"
claim "which was asked about the caller, and told that he is not there" \
	asked 'system-bus-name name=UNIQUE org.memguard.trim flags=0'
claim "nor tune" denied 'only root|access denied' other Tune sst "$retainer" TopPad 1048576

polkit_says proof
claim "where polkit wants a proof he is told so" denied 'proof' other Reload
claim "and polkit may ask him where he can be asked" eval \
	"as_other busctl --address='$DBUS_SYSTEM_BUS_ADDRESS' call ${service[*]} Reload; \
	asked 'system-bus-name name=UNIQUE org.memguard.reload flags=1'"

polkit_says silent
for _ in 1 2 3 4 5; do
	other Reload >"$scratch/silent.$_" 2>&1 &
	started+=($!)
done
claim "a silent polkit keeps few of one user's calls waiting" \
	wait_for 20 grep -sqi 'too many' "$scratch"/silent.{1,2,3,4,5}
claim "and nobody else" busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call "${service[@]}" GetStatus
claim "and not the private socket" ctl status

polkit_says yes
claim "where polkit says yes he may reload" other Reload
claim "and tune" other Tune sst "$retainer" TopPad 1048576
claim "and trim" other Trim s "$retainer"
claim "which gave memory back" wait_for 20 rss_is_below "$retainer" 32

claim "he may not set how loud the daemon is" denied 'denied|rejected' as_other busctl \
	--address="$DBUS_SYSTEM_BUS_ADDRESS" set-property "${log_control[@]}" LogLevel s err
claim "root may" busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" \
	set-property "${log_control[@]}" LogLevel s warning
claim "and it is so" eval "[ \"\$(busctl --address='$DBUS_SYSTEM_BUS_ADDRESS' \
	get-property ${log_control[*]} LogLevel)\" = 's \"warning\"' ]"

# A bus that is stopped, then gone, then there again.
halt "$dbus"
echo again >&9
wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" -ge 2 ]'
claim "a bus that is stopped holds nothing up" eval \
	'ctl trim "$retainer" && ctl trim "$retainer" && ctl status'
kill -KILL "$dbus"
wait "$dbus" || true
rm -f "$scratch/system_bus"
claim "that it has gone is noticed" wait_for 20 eval 'ctl status | has "system bus absent"'
claim "and holds nothing up either" trims "$retainer"
start_bus
claim "when it is there again so is the daemon" wait_for 60 owns_its_name
claim "and shows it" eval 'ctl status | has "system bus connected"'
claim "and answers there" busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call "${service[@]}" GetStatus

# Two daemons, as while one takes the place of another; and a bus that goes before it has answered.
answers_as()
{
	busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call org.freedesktop.DBus / org.freedesktop.DBus \
		GetConnectionUnixProcessID s org.memguard.Manager1 2>/dev/null | has -x "u $1"
}

"$MEMGUARDD" --log-level=debug --runtime-directory="$scratch/second" --config="$scratch/memguard.conf" \
	2>>"$scratch/second.log" &
second=$!
started+=("$second")
claim "a name that is taken is not there for a second daemon" \
	wait_for 20 grep -q "does not give us the name" "$scratch/second.log"
kill "$daemon"
wait "$daemon" || true
claim "until it is given up" wait_for 60 answers_as "$second"

kill -STOP "$dbus"
start_daemon
kill -KILL "$dbus"
wait "$dbus" || true
kill "$second"
wait "$second" || true
rm -f "$scratch/system_bus"
start_bus
claim "who had no answer from a bus that is gone asks the next one" wait_for 60 answers_as "$daemon"
finish
