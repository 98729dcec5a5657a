#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# php-fpm: a master that is root and children that are not, all with one thread: scripts are
# answered the same, children are replaced, the master reloads.
#
#	36-php-fpm.sh BUILD

. "$(dirname "$0")/lib.sh"

fpm=$(compgen -c php-fpm | sort | tail -n 1)
[ -n "$fpm" ] || skip "no php-fpm here: apt-get install php8.2-fpm"
need cgi-fcgi libfcgi-bin
look_for_parting "$(command -v "$fpm")"
need_root "to see it drop its privileges"

prepare()
{
	cat >"$work/fpm.conf" <<-EOF
		[global]
		error_log = $work/log
		daemonize = no
		[www]
		user = nobody
		group = nogroup
		listen = $work/socket
		pm = static
		pm.max_children = 2
		pm.max_requests = 10
		clear_env = yes
		catch_workers_output = yes
	EOF
	cat >"$work/work.php" <<-'EOF'
		<?php
		function squares($n) { for ($i = 0; $i < $n; $i++) yield $i => $i * $i; }
		$words = [];
		foreach (squares(20000) as $i => $square) $words["k$i"] = str_repeat(chr(97 + $i % 26), $square % 50);
		ksort($words);
		echo count($words), " ", md5(serialize($words)), " ", posix_geteuid(), "\n";
		echo preg_match_all('/a+b?/', implode('', $words)), " ", strlen(gzdeflate(implode('', $words))), "\n";
		echo getenv('LD_PRELOAD') === false ? "clean" : "not clean", "\n";
		echo shell_exec('env | grep -c -e MEMGUARD -e LD_PRELOAD');
		if (isset($_GET['status'])) { http_response_code((int)$_GET['status']); }
		if (isset($_GET['die'])) { trigger_error('as was asked', E_USER_ERROR); }
	EOF
}

get()
{
	timeout 60 env -i REQUEST_METHOD=GET SCRIPT_FILENAME="$work/work.php" QUERY_STRING="$1" \
		cgi-fcgi -bind -connect "$work/socket" | tr -d '\r'
}

answers()
{
	get '' 2>/dev/null | has clean
}

workers_are_others()
{
	[ "$(workers | wc -l)" = 2 ] && ! workers | has -xF "$1"
}

session()
{
	local before i

	prepare
	start "$fpm" --nodaemonize --fpm-config "$work/fpm.conf"
	wait_for 60 answers
	during "its workers carry the hook, have one thread and no agent" workers_are_passive
	single=yes meet "$server" "the master"
	get ''
	get status=404
	get die=1
	before=$(workers)
	for i in {1..25}; do
		get status=$((200 + i))
	done | sort | uniq -c
	wait_for 60 workers_are_others "$before"
	before=$(workers)
	kill -USR2 "$server"           # the master executes itself anew
	wait_for 60 workers_are_others "$before"
	wait_for 60 answers
	get ''
	! has_agent || be_asked "$server"
	stop QUIT
	log_lines <"$work/log"
}

# Without times and pids, and children's numbers: several processes write it.
log_lines()
{
	sed -E 's/^\[[^]]*\] //; s/child [0-9]+/child N/; s/pid [0-9]+/pid N/; s/after [0-9.]+ seconds/after N seconds/' |
		sort -u
}

# A log on standard error tells times.
normal()
{
	sed -E 's/\[[0-9]+-[A-Z][a-z]+-[0-9]+ [0-9:]+\] //'
}

matrix php-fpm session
claim "the master released when asked" released_in php-fpm always
finish
