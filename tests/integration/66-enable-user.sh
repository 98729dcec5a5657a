#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# memguardctl --user enable, disable: files in the user's own configuration alone, after what the
# user's service manager knows; here one that only talks. A real one is in the VM.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
session=$scratch/session
config=$scratch/config
units=$config/systemd/user
dropin=$units/hers.service.d/50-memguard.conf
mkdir -p "$session/systemd" "$units"
: >"$units/hers.service"
: >"$units/odd@1.service"

mine()
{
	env -u DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR="$session" XDG_CONFIG_HOME="$config" \
		HOME="$scratch/home" "$MEMGUARDCTL" --user --hook="$HOOK" "$@"
}

mine_at_home()
{
	env -u XDG_CONFIG_HOME -u DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR="$session" \
		HOME="$scratch/home" "$MEMGUARDCTL" --user --hook="$HOOK" "$@"
}

# refuses TEXT COMMAND... : fails, says so, and has written nothing.
refuses()
{
	local text=$1 status=0

	shift
	"$@" >"$scratch/told" 2>&1 || status=$?
	cat "$scratch/told"
	[ -z "$(find "$scratch/home" "$config" "$scratch/root" -name '*memguard*' 2>/dev/null)" ] || return 1
	[ $status -eq 1 ] && grep -qF -e "$text" "$scratch/told"
}

reloads()
{
	grep -c reload "$scratch/manager"
}

writes_it()
{
	mine enable hers odd@1 >"$scratch/told" 2>&1 || { cat "$scratch/told"; return 1; }
	cat "$scratch/told" "$dropin"
	grep -qF "Guarded from the next start on: systemctl --user restart hers.service odd@1.service" \
		"$scratch/told" && ! grep -q "Nobody guards" "$scratch/told" &&
		grep -qF "Environment=\"LD_PRELOAD=$HOOK\"" "$dropin" &&
		grep -qxF 'Environment="MEMGUARD_SOCKET=%t/memguard/hook.sock"' "$dropin" &&
		grep -qF '"memguardctl --user disable hers.service"' "$dropin"
}

claim "without a manager it is told how to get one" \
	refuses 'loginctl enable-linger' mine enable hers

python3 "$here/user-manager.py" "$session/systemd/private" "$units" >"$scratch/manager" &
started+=($!)
wait_for 20 grep -q ready "$scratch/manager"

claim "a unit that is not there is told, and how to find it" \
	refuses 'There is no his.service: "systemctl --user list-unit-files' mine enable his
claim "what is no service is named" refuses "is not a service" mine enable hers.socket
claim "so is a template" refuses "is a template" mine enable odd@.service
# tells_all VERB... : of each name what is wrong with it, and that nothing was changed.
tells_all()
{
	local text status=0

	mine enable "$@" >"$scratch/told" 2>&1 || status=$?
	cat "$scratch/told"
	for text in "${wrong[@]}" "Nothing was changed"; do
		[ "$(grep -cF -e "$text" "$scratch/told")" = 1 ] || return 1
	done
	[ $status = 1 ] && [ -z "$(find "$config" -name '*.d' -o -name '*memguard*')" ]
}
wrong=("hers.socket is not a service" "odd@.service is a template" '"a/b" is not the name of a unit')
claim "of several bad names all are told" tells_all hers hers.socket odd@.service a/b
wrong=("There is no his.service" "There is no its.service")
claim "so are several units that are not there, and what is right is left alone, too" \
	tells_all hers his odd@1 its
claim "--root= is the system's" refuses "leave --user out" mine --root="$scratch/root" enable hers
claim "nothing of it was read anew" eval '[ "$(reloads)" = 0 ]'

: >"$units/memguard.socket"
claim "enable writes below the user's configuration, and has it read" writes_it
claim "once for all of them" eval '[ "$(reloads)" = 1 ]'
claim "nowhere else" eval '[ ! -e "$scratch/home" ]'
claim "again changes nothing" eval \
	'cp "$dropin" "$scratch/first" && mine enable hers && cmp "$dropin" "$scratch/first"'
claim "in JSON, too" eval \
	'[ "$(mine --json=short enable hers)" = "{\"enabled\":[\"hers.service\"]}" ]'
ln -s hers.service "$units/nick.service"
claim "by another name it is the same unit" eval \
	'mine enable nick >"$scratch/told" && cat "$scratch/told" && cmp "$dropin" "$scratch/first" &&
	[ ! -e "$units/nick.service.d" ] && grep -qF "restart hers.service" "$scratch/told"'
printf '[Service]\nEnvironment="LD_PRELOAD=/other.so"\n' >"${dropin%/*}/override.conf"
claim "where a later drop-in preloads something else, that is no success" eval \
	'! mine enable hers >"$scratch/told" 2>&1 && cat "$scratch/told" &&
	grep -qF "add $HOOK to its LD_PRELOAD" "$scratch/told" && ! grep -q Guarded "$scratch/told"'
printf '[Service]\nEnvironment="LD_PRELOAD=/other.so %s"\n' "$HOOK" >"${dropin%/*}/override.conf"
claim "but where that has the hook it is" mine enable hers
rm "${dropin%/*}/override.conf"
mine disable hers >/dev/null
: >"$scratch/beside.so"
printf '[Service]\nEnvironment=LD_PRELOAD=%s\n' "$scratch/beside.so" >"$units/hers.service"
claim "what is there beside it is nothing to warn of" eval \
	'mine enable hers 2>"$scratch/told" && cat "$scratch/told" && [ ! -s "$scratch/told" ]'
: >"$units/hers.service"
rm "$scratch/beside.so"
claim "what only the drop-in has stays, and if it is not there any more that is told" eval \
	'mine enable hers 2>"$scratch/told" && cat "$scratch/told" &&
	grep -qF "preloads $scratch/beside.so, which is not there" "$scratch/told"'
claim "and as it says it goes away" eval \
	'mine disable hers && mine enable hers 2>"$scratch/told" && cmp "$dropin" "$scratch/first" &&
	[ ! -s "$scratch/told" ]'
echo 19 20 >"$units/hers.service.tasks"
claim "a task that is left is enough" eval 'mine enable hers 2>"$scratch/told" && [ ! -s "$scratch/told" ]'
echo 20 20 >"$units/hers.service.tasks"
claim "where none is left for the hook that is told" eval \
	'mine enable hers 2>"$scratch/told" && cat "$scratch/told" && grep -qF "all 20 tasks" "$scratch/told"'
rm "$units/hers.service.tasks"
rm "$units/memguard.socket"
claim "where nobody would guard it that is said" eval \
	'mine enable hers >"$scratch/told" 2>&1 && cat "$scratch/told" &&
	grep -qF "memguard.socket is inactive: \"systemctl --user enable --now memguard\"" "$scratch/told"'
claim "disable leaves nothing" eval \
	'mine disable nick odd@1 >"$scratch/told" && grep -qF "systemctl --user restart" "$scratch/told" &&
	[ -z "$(find "$config" -name "*.d" -o -name "*memguard*")" ]'
claim "what was not enabled is no failure" eval \
	'mine disable hers >"$scratch/told" && grep -qF "hers.service is not enabled" "$scratch/told"'
claim "what does not exist is one" refuses "There is no his.service" mine disable his

claim "without XDG_CONFIG_HOME it is ~/.config; where the manager does not look, that is told" eval \
	'! mine_at_home enable hers 2>"$scratch/told" && cat "$scratch/told" &&
	grep -qF "systemd does not read $scratch/home/.config/systemd/user/hers.service.d" "$scratch/told"'
claim "and disable removes it from there" eval \
	'mine_at_home disable hers && [ -z "$(find "$scratch/home" -type f)" ]'
claim "without a home that is told" eval \
	'! HOME= XDG_CONFIG_HOME= XDG_RUNTIME_DIR="$session" "$MEMGUARDCTL" --user --hook="$HOOK" \
	enable hers 2>"$scratch/told" && grep -qF "set HOME" "$scratch/told"'

# all_named VERB... : whatever of ours and of systemd it says to type is for the user's daemon.
all_named()
{
	mine "$@" >"$scratch/told" 2>&1 || true
	cat "$scratch/told"
	grep -qE '(memguardctl|systemctl) --user ' "$scratch/told" &&
		! grep -oE '(memguardctl|systemctl) [a-z{-]+' "$scratch/told" | has -vE ' --user|ctl run$'
}

# Left alone, for there to be something to advise; and what else there is in a group, is no reason for it.
apart
configure '[Trigger]\nRetainedHigh=0\n'
XDG_RUNTIME_DIR=$session "$MEMGUARDD" --user --config="$scratch/memguard.conf" 2>"$scratch/daemon.log" &
started+=($!)
wait_for 20 test -S "$session/memguard/bus"
claim "where nothing is guarded it is said how to guard something" all_named status
runtime=$session/memguard
start_retainer 256
claim "a program of the user is guarded" wait_for 60 mine --json=short list "$retainer"
claim "to who is no member" all_named list hers
echo $$ >"$units/hers.service.pid"
claim "and why, where it runs" eval \
	'! mine list hers 2>"$scratch/told" && cat "$scratch/told" &&
	grep -qF "Its main process is $$. It was started without the hook" "$scratch/told" &&
	grep -qF "systemctl --user cat hers" "$scratch/told"'
claim "where no round was" all_named history "$retainer"
claim "beside the settings" eval 'mine config >"$scratch/told"; grep -qF "memguardctl --user reload" "$scratch/told"'
mine show "$retainer" >"$scratch/shown"
claim "what is advised is typed with --user" wait_for 30 all_named explain "$retainer"
claim "in JSON, too" all_named --json=short explain "$retainer"
claim "the end of the history" eval \
	'mine trim "$retainer" && mine history >"$scratch/told"; grep -qF "journalctl --user -t" "$scratch/told"'

if [ "$(id -u)" = 0 ]; then
	chown 65534 "$session"
	claim "under sudo no files of root are made" refuses "without sudo" mine enable hers
fi

# without_systemd COMMAND... : in a mount namespace where the machine has none, and an empty /etc/systemd.
without_systemd()
{
	env -u DBUS_SYSTEM_BUS_ADDRESS unshare --mount bash -c '
		mount -t tmpfs none /etc/systemd && { [ ! -d /run/systemd ] || mount -t tmpfs none /run/systemd; } &&
		mkdir -p /etc/systemd/system/web.service.d && : >/etc/systemd/system/web.service.d/50-memguard.conf &&
		"$@" && [ -z "$(find /etc/systemd -type f)" ]' - "$@"
}

if [ "$(id -u)" = 0 ] && [ -d /etc/systemd ] && without_systemd rm -r /etc/systemd/system/web.service.d 2>/dev/null; then
	claim "disable needs no systemd to remove the file, and asks for no restart" eval \
		'without_systemd "$MEMGUARDCTL" disable web >"$scratch/told" 2>&1 && cat "$scratch/told" &&
		grep -q "^Removed " "$scratch/told" && ! grep -qE "restart|There is no" "$scratch/told"'
	claim "where there is none to remove nobody is sent to run" eval \
		'! without_systemd "$MEMGUARDCTL" disable other >"$scratch/told" 2>&1 && cat "$scratch/told" &&
		grep -qF "no systemd here that would read one" "$scratch/told" && ! grep -q "ctl run" "$scratch/told"'
	claim "who enables is" eval \
		'! without_systemd "$MEMGUARDCTL" --hook="$HOOK" enable other >"$scratch/told" 2>&1 && cat "$scratch/told" &&
		[ "$(grep -c "memguardctl run -- COMMAND" "$scratch/told")" = 1 ]'
else
	echo "ok - disable without systemd # SKIP needs root, and mounts of its own"
fi

finish
