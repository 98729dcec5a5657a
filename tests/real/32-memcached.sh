#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# memcached, which starts as root, drops to another user and has threads: stores and answers
# the same while it is asked to release.
#
#	32-memcached.sh BUILD

. "$(dirname "$0")/lib.sh"

need memcached memcached
need_root "to see it drop its privileges"

answers()
{
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

# talk WORD... : each a command; the end of the answers is the end of the connection.
talk()
{
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	{
		printf '%s\r\n' "$@"
		printf 'quit\r\n'
	} >&3
	tr -d '\r' <&3
	exec 3>&-
}

# fill N : as many values of 4000 bytes.
fill()
{
	local i value

	value=$(head -c 4000 /dev/zero | tr '\0' v)
	for ((i = 0; i < $1; i++)); do
		printf 'set key%d 0 0 4000\r\n%s\r\n' "$i" "$value"
	done >"$work/commands"
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	(cat "$work/commands" && printf 'quit\r\n') >&3 &
	tr -d '\r' <&3 | sort | uniq -c
	exec 3>&-
}

session()
{
	start memcached --user=nobody --listen=127.0.0.1 --port="$port" --memory-limit=32 --threads=3
	wait_for 60 answers
	fill 2000
	be_asked "$server" 2
	during "is nobody in every thread" \
		eval "! grep -h ^Uid: /proc/$server/task/*/status | grep -vP '\t65534\t65534\t65534\t65534'"
	talk 'add n 0 0 2' 41 'incr n 1' 'get n' 'delete n' 'get n' 'get key7' 'touch key7 100' \
		'flush_all' 'get key7' | cut -c1-60
	fill 2000
	be_asked "$server"
	talk 'verbosity 1' version | sed 's/ [0-9.]*$//'
	stop
}

matrix memcached session
claim "it released when asked" released_in memcached auto named always
finish
