#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# MariaDB, which has many threads: tables are made, filled, joined and dropped by several
# clients while the server is asked to release; its data is there after a restart.
#
#	34-mariadb.sh BUILD

. "$(dirname "$0")/lib.sh"

need mariadbd mariadb-server-core
need mariadb mariadb-client-core
need_root "to run it as nobody"
as_user nobody

sql()
{
	user mariadb --no-defaults --socket="$work/socket" --batch --skip-column-names "$@"
}

answers()
{
	sql -e 'select 1' >/dev/null 2>&1
}

start_server()
{
	start mariadbd --no-defaults --datadir="$work/data" --socket="$work/socket" --tmpdir="$work" \
		--pid-file="$work/pid" --bind-address=127.0.0.1 --port="$port" --skip-grant-tables \
		--innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=0 2>>"$work/log"
	wait_for 60 answers
}

# One client: a table of its own.
client()
{
	sql <<-EOF
		create table test.t$1 (id int primary key, word varchar(200));
		insert into test.t$1 select seq, repeat(char(97 + seq % 26), 150) from test.numbers;
		update test.t$1 set word = concat(word, id) where id % 3 = 0;
		select '$1', count(*), sum(length(word)), min(md5(word)) from test.t$1;
		select a.id, b.id from test.t$1 a join test.t$1 b on b.id = a.id * 2 order by a.id desc limit 3;
		select group_concat(distinct left(word, 1) order by word separator '') from test.t$1;
	EOF
}

session()
{
	local i clients=()

	user mkdir "$work/data"
	# What makes the system tables is the server too, fed with their text.
	(under mariadb-install-db --no-defaults --datadir="$work/data" --auth-root-authentication-method=normal \
		--skip-test-db --skip-name-resolve >"$work/install" 2>&1) || cat "$work/install"
	start_server
	sql -e 'create database test; create table test.numbers (seq int);'
	{
		printf 'insert into test.numbers values (0)'
		printf ',(%d)' {1..4000}
	} | sql
	for i in 1 2 3 4; do
		client $i >"$work/client$i" 2>&1 &
		clients+=($!)
	done
	wait "${clients[@]}"
	cat "$work"/client?
	be_asked "$server"
	during "it has glibc's allocator" known_as "$server" malloc glibc
	sql -e 'drop table test.t1; select no_such_column' 2>&1 || echo "status $?"
	be_asked "$server"
	stop
	start_server
	sql -e 'select count(*), sum(length(word)) from test.t2; show tables from test'
	stop
	log_lines <"$work/log"
}

# Only what is no note: notes tell times, sizes and pids.
log_lines()
{
	echo "log:"
	grep -v ' \[Note\] ' | sed -E 's/^[-0-9]+ +[0-9:]+ [0-9]+ //' | sort -u
}

matrix mariadb session
claim "it released when asked" released_in mariadb auto named always
finish
