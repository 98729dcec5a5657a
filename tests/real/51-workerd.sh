#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# workerd, a JavaScript server that brings google/tcmalloc and V8, from npm since no Debian
# package has either: it answers, collects its garbage, and is asked to release by tcmalloc's own
# function, which its file names and the loader does not see.
#
#	51-workerd.sh BUILD

. "$(dirname "$0")/lib.sh"

PACKAGE=@cloudflare/workerd-linux-64@1.20261117.1
FUNCTION=MallocExtension_Internal_ReleaseMemoryToSystem

need npm npm
need curl curl
need nm binutils
need readelf binutils
[ "$(uname -m)" = x86_64 ] || skip "$PACKAGE is for x86_64"

mkdir -p "$HOME"
(cd "$scratch" && npm pack --silent "$PACKAGE" >packed 2>npm.err && tar -xf "$(tail -n 1 packed)") ||
	skip "npm does not get $PACKAGE: $(tail -n 1 "$scratch/npm.err")"
workerd=$scratch/package/bin/workerd
chmod 755 "$workerd"

cat >"$scratch/work.js" <<'EOF2'
addEventListener("fetch", event => {
	if (event.request.url.endsWith("/collect")) {
		gc();
		gc();
		event.respondWith(new Response("collected\n"));
		return;
	}
	const parts = [];
	for (let i = 0; i < 20000; i++)
		parts.push(new Uint8Array(2000 + i % 3000).fill(i));
	event.respondWith(new Response(parts.reduce((sum, part) => sum + part[7], 0) + "\n"));
});
EOF2
cat >"$scratch/config.capnp" <<EOF2
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
	v8Flags = ["--expose-gc"],
	services = [(name = "main", worker = .work)],
	sockets = [(name = "http", address = "127.0.0.1:$port", http = (), service = "main")],
);
const work :Workerd.Worker = (
	serviceWorkerScript = embed "work.js",
	compatibilityDate = "2024-01-01",
);
EOF2

get()
{
	curl --silent --fail --max-time 60 "http://127.0.0.1:$port/$1"
}

answers()
{
	get collect >/dev/null
}

session()
{
	start "$workerd" serve "$scratch/config.capnp"
	wait_for 60 answers
	for _ in 1 2 3 4; do
		get work
	done
	get collect
	meet "$server"
	during "it is a member, and known to have google/tcmalloc" \
		known_as "$server" malloc google-tcmalloc
	get work
	get collect
	stop
}

# What depends on its build, not on what it does.
normal()
{
	sed '/warning: NOSENTRY/d'
}

MEMGUARD_SYMBOLS=$(readelf -n "$workerd" | awk '/Build ID:/ { print $3 }'):$FUNCTION=$(
	nm "$workerd" | awk -v name=$FUNCTION '$3 == name { sub(/^0+/, "", $1); print $1 }')
export MEMGUARD_SYMBOLS
matrix workerd session
claim "it released when asked" released_in workerd auto named always
finish
