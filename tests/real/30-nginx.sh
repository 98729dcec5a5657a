#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# nginx from its package, in its own prefix: a root master with one thread, and workers that are
# nobody's. It serves the same files, under load, over a reload and after a worker was killed, while
# its master is asked to release where it has an agent; its workers get no thread.
#
#	30-nginx.sh BUILD

. "$(dirname "$0")/lib.sh"

need nginx nginx-light
need wrk wrk
need curl curl
need_root "to see its workers drop their privileges"
nginx=$(command -v nginx)
look_for_parting "$nginx"

prepare()
{
	mkdir "$work/html"
	sed -e "s|@PREFIX@|$work|g" -e "s|@PORT@|$port|g" "$top/tests/services/nginx.conf.in" >"$work/nginx.conf"
	head -c 20000 /dev/zero | tr '\0' 'x' >"$work/html/index.html"
	seq 300000 >"$work/html/numbers"
	chmod -R a+rX "$work"
}

get()
{
	curl --silent --show-error "$@"
}

answers()
{
	get --fail --output /dev/null "http://127.0.0.1:$port/" 2>/dev/null
}

# workers_are_others PID... : two, and none of these.
workers_are_others()
{
	[ "$(workers | wc -l)" = 2 ] && ! workers | has -xF "$1"
}

look()
{
	get --include "http://127.0.0.1:$port/" | grep -vE '^(Date|Last-Modified|ETag):' | md5sum
	get "http://127.0.0.1:$port/numbers" | md5sum
	get --range 1000-1099 "http://127.0.0.1:$port/numbers" | md5sum
	get --output /dev/null --write-out '%{http_code}\n' "http://127.0.0.1:$port/nothing"
	get --request POST --data word --output /dev/null --write-out '%{http_code}\n' "http://127.0.0.1:$port/"
}

session()
{
	local before

	prepare
	start "$nginx" -p "$work" -c "$work/nginx.conf" -e "$work/log"
	wait_for 60 answers
	single=yes meet "$server" "the master"
	during "its workers carry the hook, have one thread and no agent" workers_are_passive
	look
	wrk -t1 -c8 -d2s "http://127.0.0.1:$port/" >"$work/wrk"
	grep -cE 'Non-2xx|Socket errors' "$work/wrk" || echo "served under load"
	before=$(workers)
	kill -HUP "$server"
	wait_for 60 workers_are_others "$before" && echo reloaded
	wait_for 60 answers
	before=$(workers)
	# shellcheck disable=SC2086 # two numbers
	kill -KILL $before
	wait_for 60 workers_are_others "$before" && echo "has new ones"
	wait_for 60 answers
	look
	! has_agent || be_asked "$server"
	stop QUIT
	sed -E 's/^[0-9/]+ [0-9:]+ //; s/[0-9]+#[0-9]+/N/; s/process [0-9]+/process N/' "$work/log" | sort | uniq -c
}

matrix nginx session
claim "the master released when asked" released_in nginx always
finish
