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

# Many at once, so that it takes a while: a request meets it in the middle of its work.
files()
{
	find /usr/bin /usr/lib/python3 /etc -xdev -type f 2>/dev/null | LC_ALL=C sort >"$work/all"
	head -n "$1" "$work/all" >"$work/list"
	under file -f "$work/list"
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

matrix file one_file
matrix file-many files 2000
matrix man page
finish
