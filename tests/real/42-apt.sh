#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# apt and dpkg, which change nothing here: queries, a simulated installation, and a repository of
# our own that apt fetches through its sandboxed helpers. They have one thread, and libcap: by a
# name alone root's get no agent, a user's do.
#
#	42-apt.sh BUILD

. "$(dirname "$0")/lib.sh"

need apt-get apt
need dpkg-deb dpkg
need python3 python3
need_root "to see apt's helpers become _apt"
look_for_parting "$(command -v apt-get)"
single=yes

# It sends half of what is asked for, and the rest after a line. One request after the other,
# each with a connection of its own; on $port.
cat >"$scratch/serve.py" <<'EOF'
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if not self.path.endswith("/Packages"):
            self.send_error(404)
            return
        with open("repo/Packages", "rb") as file:
            content = file.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:len(content) // 2])
        self.wfile.flush()
        open("half", "x").close()
        sys.stdin.readline()
        self.wfile.write(content[len(content) // 2:])

    def log_message(self, *args):
        pass

server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
open("serves", "x").close()
server.serve_forever()
EOF

# A repository of one package, and all of apt's state in $work.
make_repository()
{
	mkdir -p "$work/tree/DEBIAN" "$work/repo" "$work/state/lists/partial" "$work/cache/archives/partial" \
		"$work/etc/apt.conf.d" "$work/etc/preferences.d"
	printf '%s\n' 'Package: nothing' 'Version: 1' 'Architecture: all' \
		'Maintainer: nobody <nobody@example>' 'Description: nothing at all' >"$work/tree/DEBIAN/control"
	find "$work/tree" -exec touch -d @1700000000 {} +
	(SOURCE_DATE_EPOCH=1700000000 under dpkg-deb --root-owner-group -b "$work/tree" "$work/repo/nothing.deb")
	{
		cat "$work/tree/DEBIAN/control"
		echo "Filename: ./nothing.deb"
		echo "Size: $(stat -c %s "$work/repo/nothing.deb")"
		echo "SHA256: $(sha256sum "$work/repo/nothing.deb" | cut -d' ' -f1)"
	} >"$work/repo/Packages"
	echo "deb [trusted=yes] file:$work/repo ./" >"$work/etc/sources.list"
	: >"$work/status"
	chmod -R a+rX "$work"
}

apt_options()
{
	printf '%s\n' -o Dir::State="$work/state" -o Dir::State::status="$work/status" \
		-o Dir::Cache="$work/cache" -o Dir::Etc="$work/etc" -o APT::Architecture=amd64 \
		-o Debug::NoLocking=1 -o APT::Get::List-Cleanup=0 -o Acquire::http::Proxy=DIRECT
}

# Many more that have nothing to download: apt-cache then writes more than a pipe holds.
add_many()
{
	seq 2000 | sed 's/.*/\nPackage: many-&\nVersion: 1\nArchitecture: all\nDescription: one of many/' \
		>>"$work/repo/Packages"
}

# In the middle of what it fetches, by a helper that has become _apt.
fetching()
{
	local options helper

	make_repository
	add_many
	mapfile -t options < <(apt_options)
	echo "deb [trusted=yes] http://127.0.0.1:$port ./" >"$work/etc/sources.list"
	mkfifo "$work/go"
	python3 "$scratch/serve.py" "$port" <>"$work/go" &
	echo $! >>"$scratch/servers"
	wait_for 60 test -e serves
	start apt-get "${options[@]}" -q update >"$work/out"
	wait_for 60 test -e half
	helper=$(pgrep -P "$server" -x http)
	meet "$server"
	ps -o user= -p "$helper"
	if [ "$way" = always ]; then
		meet "$helper" "its helper"
	else
		# _apt may not change its ids: it is for the one thread alone.
		is_alone "its helper" "$helper"
	fi
	echo go on >"$work/go"
	wait "$server" || echo "status $?"
	sed 's/ in [0-9]*s (.*//' "$work/out"
	(under apt-cache "${options[@]}" stats)
}

# With what was updated before, by root.
asking()
{
	local options

	(as=() && make_repository)
	add_many
	mapfile -t options < <(apt_options)
	apt-get "${options[@]}" -qq update
	chmod -R a+rX "$work"
	slowly apt-cache "${options[@]}" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= dumpavail
}

session()
{
	local options

	make_repository
	mapfile -t options < <(apt_options)
	# How long it took and how fast it was differs.
	(under apt-get "${options[@]}" update) | sed 's/ in [0-9]*s (.*//'
	(under apt-cache "${options[@]}" show nothing)
	(under apt-cache "${options[@]}" policy nothing)
	(under apt-get "${options[@]}" -s install nothing)
	(cd "$work" && under apt-get "${options[@]}" download nothing) | sed 's/ in [0-9]*s (.*//'
	cmp "$work/nothing_1_all.deb" "$work/repo/nothing.deb"
	(under apt-get "${options[@]}" -s install no-such-package) || echo "status $?"
	(under apt-cache depends bash)
	(under apt-get -s remove sed) >"$work/removal"
	grep -c ^Remv "$work/removal"
	(under dpkg -l bash apt | tail -n 2)
	(under dpkg -S /bin/bash)
	(under dpkg -V base-files) || echo "status $?"
	(under dpkg --compare-versions 1.2 gt 1.10) || echo "status $?"
}

matrix apt session
matrix apt-fetching fetching
claim "it released while it fetched" released_in apt-fetching always

as_user nobody
may_part=
matrix apt-asking asking
claim "a user's released while it wrote" released_in apt-asking named always
finish
