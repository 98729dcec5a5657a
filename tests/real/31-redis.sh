#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# redis, which brings jemalloc: answers, saves in a fork, and is benchmarked. It has threads, so
# it is a member, and jemalloc is asked to release.
#
#	31-redis.sh BUILD

. "$(dirname "$0")/lib.sh"

need redis-server redis-server
need redis-benchmark redis-tools

redis()
{
	redis-cli -p "$port" "$@"
}

answers()
{
	redis ping 2>/dev/null | has PONG
}

session()
{
	start redis-server --bind 127.0.0.1 --port "$port" --dir "$work" --logfile "$work/log" \
		--save '' --enable-debug-command yes
	wait_for 60 answers
	redis debug populate 100000 key 100
	redis-benchmark -p "$port" -q -n 20000 -c 20 -P 4 --threads 2 -t set,get,lpush,lpop,zadd \
		2>&1 | tr '\r' '\n' | sed -n 's/^\([A-Z]*\): [0-9.]* requests per second.*/\1 benchmarked/p'
	be_asked "$server"
	during "it is a member, and known to have jemalloc" known_as "$server" malloc jemalloc
	redis config set maxmemory-policy allkeys-lru
	redis set counter 41
	redis incr counter
	redis save
	redis bgsave
	wait_for 60 eval 'redis info persistence | has rdb_bgsave_in_progress:0'
	redis info persistence | grep rdb_last_bgsave_status
	be_asked "$server"
	redis debug reload
	redis dbsize
	redis flushall
	stop
}

matrix redis session
claim "it released when asked" released_in redis auto named always
finish
