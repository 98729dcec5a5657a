# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the scripts of this folder share: one program run four ways, `plain` (no hook), `auto`,
# `named` (as the service manager names the main process of a unit) and `always` (the hook, by
# MEMGUARD_AGENT), which must end with the same status and write the same. While it runs under the hook, every process that becomes a member is asked again and
# again to release. Sourced with the script's BUILD as $1.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
export HOOK=$build/libmemguard-hook.so MEMGUARDD=$build/memguardd MEMGUARDCTL=$build/memguardctl
export top_builddir=$build
. "$top/tests/integration/lib.sh"

# What the caller's own environment says must not decide a test.
unset LD_PRELOAD MEMGUARD MEMGUARD_AGENT MEMGUARD_MALLOPT MEMGUARD_SOCKET SYSTEMD_EXEC_PID
unset GLIBC_TUNABLES MALLOC_ARENA_MAX XDG_RUNTIME_DIR
export LC_ALL=C.UTF-8 TZ=UTC TERM=dumb HOME=$scratch/home
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Servers run as another user, who must reach all of it wherever the checkout is.
chmod 755 "$scratch"
cp "$HOOK" "$scratch/libmemguard-hook.so"
HOOK=$scratch/libmemguard-hook.so

# free_port : one that nobody serves now, below those that the kernel gives to clients: else whoever connects
# to somewhere may have it before the server that it is meant for.
free_port()
{
	local first candidate

	read -r first _ </proc/sys/net/ipv4/ip_local_port_range
	[ "$first" -gt 12000 ] || first=30000
	candidate=$((10000 + $$ % (first - 10000)))
	while (: <>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; do
		candidate=$((10000 + (candidate - 10000 + 1) % (first - 10000)))
	done
	echo "$candidate"
}

work=$scratch/work
way=plain                      # how `under` runs things
modes=(auto named always)      # the hooked ways of a matrix
as=()                          # words before the program, such as nobody's
want_status=0                  # of every way
limit_sec=${LIMIT_SEC:-240}     # of one way; only a fault reaches it
pause_sec=0.2                  # between two requests to everybody
asked=0 released=0             # requests to members in the last hooked run; and those obeyed
session=                       # the process group of the way that runs
port=$(free_port)

# need COMMAND PACKAGE
need()
{
	command -v "$1" >/dev/null || skip "no $1 here: apt-get install $2"
}

need_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root, $*"
}

# as_user NAME : `under` and `user` then run things as NAME, without its groups.
as_user()
{
	as=(setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups)
}

# user COMMAND... : as that user, never under the hook.
user()
{
	"${as[@]}" env HOME="$HOME" "$@"
}

# under COMMAND... : replaces the shell; the hook is in the program, not in what leads to it.
# Background jobs of a script ignore these signals; programs are not to inherit that.
under()
{
	local words=(env --default-signal=INT,QUIT)

	[ "$way" = plain ] ||
		words+=("LD_PRELOAD=$HOOK" "MEMGUARD_SOCKET=$runtime/hook.sock" "MEMGUARD_AGENT=$way")
	# Its number stays the same by exec.
	[ "$way" != named ] || words+=("MEMGUARD_AGENT=auto" "SYSTEMD_EXEC_PID=$BASHPID")
	exec "${as[@]}" "${words[@]}" "$@"
}

# start COMMAND... : under the way, in the background, reading $stdin; its pid in $server.
start()
{
	(under "$@" <"${stdin:-/dev/null}") &
	server=$!
	echo "$server" >>"$scratch/servers"
}

# stop [SIGNAL] : ends $server, and tells its status.
stop()
{
	local status=0

	kill -"${1:-TERM}" "$server"
	wait "$server" || status=$?
	echo "ended with $status"
}

# normal : what varies from run to run of the unhooked program; a script may replace it.
normal()
{
	cat
}

members()
{
	ctl --json=short list | jq -r '.[].pid'
}

# request_all : one request to each member. They come and go, so none of them has to be there.
request_all()
{
	local pid

	for pid in $(members); do
		if ctl trim "$pid" >"$scratch/trim" 2>&1; then
			released=$((released + 1))
			echo "$pid" >>"$scratch/obeyed"
		elif grep -q '^Nothing called' "$scratch/trim"; then
			continue
		fi
		asked=$((asked + 1))
		echo "$pid" >>"$scratch/asked"
	done
}

n_asked()
{
	grep -cx "$1" "$scratch/asked" || true
}

was_asked()
{
	[ "$(n_asked "$1")" -ge "$2" ]
}

# be_asked PID [TIMES] : in a session, waits until it was asked to release that often from now on.
be_asked()
{
	local goal

	[ "$way" != plain ] || return 0
	goal=$(($(n_asked "$1") + ${2:-1}))
	wait_for 60 was_asked "$1" "$goal"
}

# start_first COMMAND... : what reads lines from descriptor 9, and has one.
start_first()
{
	rm -f "$scratch/in"
	mkfifo "$scratch/in"
	stdin=$scratch/in start "$@"
	exec 9>"$scratch/in"
	echo first >&9
}

# in_two COMMAND... : in a session, a program that works after each of two lines; after the first
# it is asked to release.
in_two()
{
	start_first "$@"
	meet "$server"
	echo second >&9
	exec 9>&-
	wait "$server"
}

# start_slow COMMAND... : what writes more than a pipe holds, and so stands still in the middle of
# its work until end_slow. As long as descriptor 7 is open, there is a reader who reads nothing.
start_slow()
{
	rm -f "$scratch/pipe"
	mkfifo "$scratch/pipe"
	exec 7<>"$scratch/pipe"
	start "$@" >&7 7>&-
}

end_slow()
{
	exec 8<"$scratch/pipe" 7>&-
	cat <&8
	exec 8<&-
	wait "$server"
}

# slowly COMMAND... : in a session, such a program, which is asked to release meanwhile.
slowly()
{
	start_slow "$@"
	meet "$server"
	end_slow
}

# meet PID [WHO] : in a session, what is in the middle of its work releases when it is asked, or
# refuses by the words of $refusal. It is left alone where $single and the way give it no agent, and
# why the daemon can say.
meet()
{
	if [ "$way" = plain ]; then
		return
	elif [ -z "${single:-}" ] || has_agent; then
		be_asked "$1" 2
		if [ -n "${refusal:-}" ]; then
			during "${2:-it} refused: $refusal" told "$1" "$refusal"
		else
			during "${2:-it} released in the middle of its work" has_obeyed "$1"
		fi
	else
		is_alone "${2:-it}" "$1" "${may_part:+library to give up capabilities}"
	fi
}

has_obeyed()
{
	grep -x "$1" "$scratch/obeyed"
}

# is_alone WHO PID [WHY] : in a session, claims that this has one thread, and that the daemon says
# why it adds none.
is_alone()
{
	during "$1 carries the hook" wait_for 60 carries "$2"
	during "$1 has one thread and no agent" eval "is_passive $2 && has_threads $2 1"
	during "the daemon says why $1 is left alone" told "$2" "${3:-unless it is the main process}"
}

# told PID WORDS : why it is not guarded, or did not release.
told()
{
	ctl trim "$1" >"$scratch/told" 2>&1 || true
	cat "$scratch/told"
	grep -qF "$2" "$scratch/told"
}

# threaded FIRST ASK LEAD... : in a session, below LEAD a program with threads works after each of two
# lines. After the first, FIRST is called with the pid of what leads to it, and ASK with its own.
threaded()
{
	cp "$top/tests/real/many.py" "$scratch/"
	start_first "${@:3}" /usr/bin/python3 "$scratch/many.py"
	if [ "$way" != plain ]; then
		wait_for 60 has_inner
		"$1" "$server" "what leads to it"
		"$2" "$inner"
	fi
	echo second >&9
	exec 9>&-
	wait "$server" || echo "status $?"
}

# has_inner : the pid of that program in $inner.
has_inner()
{
	inner=$(pgrep -f "^/usr/bin/python3 $scratch/many.py") && carries "$inner"
}

# In a user namespace that does not know the daemon's root, it could be anybody.
not_obeyed()
{
	during "nobody is obeyed there, and the daemon says why" \
		wait_for 60 told "$1" "obeys nobody"
	during "it has its agent" grep -x memguard /proc/"$1"/task/*/comm
}

# during TEXT COMMAND... : in a session, a claim about a hooked run; is no part of its output.
during()
{
	local text=$1

	[ "$way" != plain ] || return 0
	shift
	if "$@" >"$scratch/during" 2>&1; then
		echo "ok - $way: $text" >>"$scratch/facts"
	else
		echo "not ok - $way: $text" >>"$scratch/facts"
		tail -n 10 "$scratch/during" | sed 's/^/#   /' >>"$scratch/facts"
	fi
}

# known_as PID KEY VALUE : what the daemon tells of a member.
known_as()
{
	[ "$(ctl --json=short list "$1" | jq -r ".[0].$2")" = "$3" ]
}

# What a run that did not get as far as to stop it has left: servers, and while it is not done
# its own process group.
end_session()
{
	local pid

	[ -z "$session" ] || kill -KILL -- "-$session" 2>/dev/null || true
	session=
	[ -e "$scratch/servers" ] || return 0
	while read -r pid; do
		kill -KILL "$pid" 2>/dev/null || true
	done <"$scratch/servers"
	rm -f "$scratch/servers"
}
trap 'end_session; cleanup' EXIT

# one_way NAME COMMAND... : leaves $scratch/NAME.$way.{out,err,status}.
one_way()
{
	local result=$scratch/$1.$way end=$((SECONDS + limit_sec)) status=0

	shift
	rm -rf "$work" "$HOME"
	mkdir "$work" "$HOME"
	chmod 777 "$work" "$HOME"
	asked=0 released=0
	: >"$scratch/asked"
	: >"$scratch/obeyed"
	: >"$scratch/facts"
	set -m
	(cd "$work" && "$@") </dev/null >"$result.raw.out" 2>"$result.raw.err" &
	set +m
	session=$!
	while kill -0 "$session" 2>/dev/null; do
		if [ $SECONDS -ge $end ]; then
			echo "# $way: not done after $limit_sec s; is killed"
			kill -KILL -- "-$session"
			break
		fi
		[ "$way" = plain ] || request_all
		sleep "$pause_sec"
	done
	wait "$session" || status=$?
	session=
	end_session
	normal <"$result.raw.out" >"$result.out"
	normal <"$result.raw.err" >"$result.err"
	echo "$status" >"$result.status"
}

same_file()
{
	diff -u --text "$1" "$2" | head -n 40
	return "${PIPESTATUS[0]}"
}

# matrix NAME COMMAND... : COMMAND, often a function that calls `under`, in a fresh $work, in the
# four ways. What the last way was asked is in $asked and $released.
matrix()
{
	local name=$1 mode part

	shift
	way=plain
	one_way "$name" "$@"
	claim "$name: does its work without the hook" plain_is_good "$scratch/$name.plain"
	[ -z "${VERBOSE:-}" ] || sed 's/^/#   /' "$scratch/$name".plain.{out,err}
	for mode in "${modes[@]}"; do
		way=$mode
		one_way "$name" "$@"
		for part in status out err; do
			claim "$name, $mode: the same $part" \
				same_file "$scratch/$name.plain.$part" "$scratch/$name.$mode.$part"
		done
		cat "$scratch/facts"
		n_failed=$((n_failed + $(grep -c '^not ok' "$scratch/facts" || true)))
		echo "# $name, $mode: $asked requests to members meanwhile, $released releases"
		echo "$released" >"$scratch/$name.$mode.released"
	done
	way=plain
}

# released_in NAME WAY... : it obeyed in the middle of its work, in each of these ways.
released_in()
{
	local name=$1 mode

	for mode in "${@:2}"; do
		[ "$(cat "$scratch/$name.$mode.released")" -gt 0 ] || { echo "not $mode"; return 1; }
	done
}

plain_is_good()
{
	if [ "$(cat "$1.status")" = "$want_status" ] && [ -s "$1.out" ]; then
		return 0
	fi
	echo "status $(cat "$1.status"), should be $want_status"
	tail -n 30 "$1.raw.out" "$1.raw.err"
	return 1
}

# carries PID : it has the hook mapped.
carries()
{
	grep -qF "$HOOK" "/proc/$1/maps"
}

# has_agent : has a program with one thread an agent, this way? Not by its name alone where it
# may change its ids and has a library to change capabilities: a script says so by $may_part.
has_agent()
{
	[ "$way" = always ] || { [ "$way" = named ] && [ -z "${may_part:-}" ]; }
}

# look_for_parting PROGRAM : sets $may_part for it, when it runs as root.
look_for_parting()
{
	may_part=$(ldd "$1" | sed -n 's/.*\(libcap[a-z-]*\)\.so.*/\1/p' | head -n 1)
}

# is_passive PID : no agent, and the daemon does not know it.
is_passive()
{
	! grep -qx memguard "/proc/$1"/task/*/comm && ! is_member "$1"
}

# has_threads PID N
has_threads()
{
	grep -E "^Threads:[[:space:]]" "/proc/$1/status"
	grep -qE "^Threads:[[:space:]]+$2\$" "/proc/$1/status"
}

finish()
{
	if [ $n_failed -gt 0 ]; then
		echo "# the end of the daemon's log:"
		tail -n 20 "$scratch/daemon.log" | sed 's/^/#   /'
	fi
	exit $((n_failed > 0))
}

start_daemon
claim "the loader takes the hook" eval \
	'LD_PRELOAD=$HOOK grep -qF "$HOOK" /proc/self/maps'

# Two children of $server, which serve: with the hook in them, one thread each, and no agent, and the
# daemon says why.
workers()
{
	pgrep -P "$server"
}

workers_are_passive()
{
	local pid n=0

	for pid in $(workers); do
		carries "$pid" && is_passive "$pid" && has_threads "$pid" 1 || return 1
		told "$pid" 'unless it is the main process' || return 1
		n=$((n + 1))
	done
	[ $n = 2 ]
}
