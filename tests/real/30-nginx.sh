#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# nginx from its package under the hook, in its own prefix: serves under load while it is
# asked to release; its single-threaded workers get no thread.
#
#	30-nginx.sh BUILD

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
export HOOK=$build/libmemguard-hook.so MEMGUARDD=$build/memguardd MEMGUARDCTL=$build/memguardctl
export top_builddir=$build
. "$top/tests/integration/lib.sh"

nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || skip "no nginx here: apt-get install nginx-light"
command -v wrk >/dev/null || skip "no wrk here: apt-get install wrk"

port=$((20000 + $$ % 20000))
prefix=$scratch/nginx
mkdir -p "$prefix/html"
chmod -R 777 "$scratch"
sed -e "s|@PREFIX@|$prefix|g" -e "s|@PORT@|$port|g" \
	"$top/tests/services/nginx.conf.in" >"$prefix/nginx.conf"
head -c 20000 /dev/zero | tr '\0' 'x' >"$prefix/html/index.html"

start_daemon
(exec env LD_PRELOAD="$HOOK" MEMGUARD_SOCKET="$runtime/hook.sock" MEMGUARD_AGENT=auto \
	"$nginx" -p "$prefix" -c "$prefix/nginx.conf" -e "$prefix/error.log" 2>"$scratch/nginx.err") &
master=$!
started+=("$master")

answers()
{
	curl --silent --fail --output /dev/null "http://127.0.0.1:$port/"
}

threads_of_workers()
{
	local pid

	for pid in $(pgrep -P "$master"); do
		awk '/^Threads:/ && $2 != 1 { exit 1 }' "/proc/$pid/status" || return 1
	done
}

claim "it serves" wait_for 30 answers
claim "its workers carry the hook" \
	grep -q libmemguard-hook "/proc/$(pgrep -P "$master" | head -n 1)/maps"
claim "its workers have one thread each" threads_of_workers
claim "it serves under load" eval \
	'wrk -t1 -c8 -d2s "http://127.0.0.1:$port/" >"$scratch/wrk" && ! grep -q "Non-2xx\|Socket errors" "$scratch/wrk"'
claim "it reloads" eval 'kill -HUP "$master" && wait_for 30 answers'
claim "it wrote no word more than without the hook" test ! -s "$scratch/nginx.err"
claim "it ends" eval 'kill -QUIT "$master"; wait "$master"'
finish
