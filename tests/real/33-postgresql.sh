#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# PostgreSQL: a cluster is made, served, benchmarked, restarted. All its processes have one
# thread: with `auto` none of them is a member; with `named` and `always` the postmaster is asked to
# release while its forked children work, and these have no agent.
#
#	33-postgresql.sh BUILD

. "$(dirname "$0")/lib.sh"

bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
[ -x "$bin/postgres" ] || skip "no postgres here: apt-get install postgresql-15"
need_root "to run it as postgres"
as_user postgres

export PGHOST=$work PGPORT=$port PGDATABASE=postgres PGUSER=postgres

children_are_passive()
{
	local pid n=0

	# They come and go: what has gone is no witness.
	for pid in $(pgrep -P "$server"); do
		[ -e "/proc/$pid" ] || continue
		carries "$pid" || continue
		is_passive "$pid" && has_threads "$pid" 1 || return 1
		told "$pid" 'unless it is the main process' || [ ! -e "/proc/$pid" ] || return 1
		n=$((n + 1))
	done
	echo "$n looked at"
	[ $n -gt 2 ]
}

start_server()
{
	start "$bin/postgres" -D "$work/data" -k "$work" -p "$port" -c listen_addresses=127.0.0.1 \
		-c shared_buffers=16MB -c logging_collector=off -c fsync=off "$@"
	wait_for 60 "$bin/pg_isready" -q
}

# A session that is on its way out is cut short by the stop, and says so in the log or not.
no_sessions()
{
	! pgrep -P "$server" -f '^postgres: postgres ' >/dev/null
}

stop_server()
{
	wait_for 20 no_sessions
	stop INT
}

sql()
{
	under "$bin/psql" -X -At -c "$1"
}

session()
{
	(under "$bin/initdb" -D "$work/data" --auth=trust --no-sync --no-instructions)
	start_server 2>"$work/log"
	single=yes meet "$server" "the postmaster"
	during "its children carry the hook, have one thread and no agent" children_are_passive
	(under "$bin/pgbench" -i -q -s 2) 2>&1 | sed 's/ in [0-9.]* s.*//; s/, remaining.*//; s/(elapsed.*//'
	(under "$bin/pgbench" -n -c 4 -j 2 -t 100) | grep -vE '^(latency|initial connection|tps)'
	(sql 'select count(*), sum(length(filler)) from pgbench_accounts')
	(sql "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0;
		set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
		select bid, sum(aid) from pgbench_accounts group by bid order by bid")
	(sql 'select no_such_column') || echo "status $?"
	! has_agent || be_asked "$server"
	stop_server

	start_server -c max_connections=20 2>>"$work/log"
	(sql 'select count(*) from pgbench_history')
	# A backend that is killed: the server goes on with new ones.
	(sql 'select pg_terminate_backend(pg_backend_pid())') || echo "status $?"
	(sql 'select 42')
	stop_server
	log_lines <"$work/log"
}

# Without times and pids, sorted: several processes write it. Checkpoints tell times only, and
# whether we asked too early differs.
log_lines()
{
	sed -E 's/^[-0-9]+ [0-9:.]+ UTC \[[0-9]+\] //; s/\(PID [0-9]+\)/(PID)/; s/(shut down at) .*/\1/' |
		grep -vE 'checkpoint (starting|complete)|redo LSN|is starting up' | sort | uniq -c
}

matrix postgresql session
claim "the postmaster released when asked" released_in postgresql named always
finish
