#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# file(1), which sets a system call filter where it was built with one, and man, whose helpers
# run under one that kills: they must do their work, with `always` too, where the agent is there
# before the filter is.
#
#	43-file-man.sh BUILD

. "$(dirname "$0")/lib.sh"

need file file
need man man-db

# Standard input is one of the files, and comes when it has been asked to release.
files()
{
	local all

	mapfile -t all < <(find /usr/bin /usr/lib/python3 /etc -xdev -type f 2>/dev/null | LC_ALL=C sort)
	mkfifo "$work/in"
	stdin=$work/in start file "${all[@]::200}" - "${all[@]:200:200}"
	exec 9>"$work/in"
	meet "$server"
	printf '%s\n' "${all[@]::400}" | gzip -nc >&9
	exec 9>&-
	wait "$server"
}

one_file()
{
	echo '#!/bin/sh' >"$work/script"
	(under file "$work/script" /bin/ls /nonexistent /etc /dev/null)
	(under file --mime-type -b "$work/script")
	gzip -c "$work/script" >"$work/script.gz"
	(under file -z -b "$work/script.gz" | sed 's/last modified: [^,]*/last modified/')
}

page()
{
	cat >"$work/page.1" <<-'EOF'
		.TH PAGE 1 2020-01-01
		.SH NAME
		page \- a page
		.SH DESCRIPTION
		Some \fBbold\fR words, and a table.
		.TS
		tab(;);
		l l.
		one;two
		.TE
	EOF
	gzip -k "$work/page.1"
	(MANWIDTH=70 under man -l "$work/page.1")
	(MANWIDTH=70 under man -l "$work/page.1.gz")
	(under man -l "$work/no-such-page.1") || echo "status $?"
	(under man 1 no-such-page-anywhere) || echo "status $?"
	mkdir -p "$work/man/man1"
	cp "$work/page.1" "$work/man/man1/"
	(under man -M "$work/man" -w page)
	(under man -M "$work/man" -f page) || echo "status $?"
}

# Formatted, it is more than a pipe holds.
long_page()
{
	{
		printf '.TH LONG 1 2020-01-01\n.SH NAME\nlong \\- a page\n.SH WORDS\n'
		seq 20000 | sed 's/$/ words/'
	} >"$work/long.1"
	MANWIDTH=70 start_slow man -l "$work/long.1"
	meet "$server"
	during "its helpers under a filter are left alone" wait_for 60 filtered_are_alone
	end_slow
}

# What man started and is under a filter by now: whatever the way, there is no agent.
filtered_are_alone()
{
	local pid n=0

	for pid in $(pgrep -P "$server"); do
		grep -qE '^Seccomp:[[:space:]]+2$' "/proc/$pid/status" || continue
		carries "$pid" && is_passive "$pid" && has_threads "$pid" 1 || return 1
		told "$pid" "system call filter" || return 1
		n=$((n + 1))
	done
	[ $n -gt 0 ]
}

matrix file one_file
single=yes
matrix file-many files
claim "file released in the middle" released_in file-many named always
matrix man page
matrix man-long long_page
claim "man released in the middle" released_in man-long named always
finish
