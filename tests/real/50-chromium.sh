#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Chromium, which brings its own allocator, a zygote that forks, and a sandbox of namespaces and
# system call filters: prints a page's DOM after its scripts, as root without the sandbox, and
# as a user with it. Row 14: its sandboxes start with one thread, take namespaces of their own,
# and then filter; what is left kills for a call too many.
#
#	50-chromium.sh BUILD

. "$(dirname "$0")/lib.sh"

browser=/usr/lib/chromium/chromium  # the program; /usr/bin/chromium is a script that asks for settings
[ -x $browser ] || skip "no chromium here: apt-get install chromium"
need_root "to run it as root and as nobody"
pause_sec=0.5
# Not `always`: its zygote must have one thread, and looks. That is what `auto` is for.
modes=(auto named)

cat >"$scratch/page.html" <<'EOF'
<!DOCTYPE html>
<title>page</title>
<p id="out">nothing</p>
<script>
const words = Array.from({ length: 100000 }, (_, i) => String(i * 7919 % 100003));
document.getElementById('out').textContent = words.sort().join('').length;
</script>
EOF
chmod 644 "$scratch/page.html"

# Of its standard error nothing is compared: it tells addresses, times, what it misses on the
# machine, and is not the same from run to run. The loader's and our words would be found.
dump()
{
	(under "$browser" --headless --disable-gpu --disable-quic --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync --disable-extensions \
		--disable-dev-shm-usage --user-data-dir="$work/data" --virtual-time-budget=10000 --dump-dom "$@" \
		"file://$scratch/page.html" 2>"$work/err") || echo "status $?"
	grep -E 'ld\.so|LD_PRELOAD|memguard|Received signal|Check failed' "$work/err" || true
}

drew()
{
	grep -q '>488893<' "$scratch/$1.plain.out"
}

# The daemon's own word: a request may find every process of a quick run already gone.
had_members()
{
	grep -cF '(chromium) joined' "$scratch/daemon.log"
}

export DBUS_SESSION_BUS_ADDRESS=disabled:
matrix chromium dump --no-sandbox
claim "the page's scripts ran" drew chromium
claim "its processes were members" wait_for 10 had_members

as_user nobody
if user unshare -U true 2>/dev/null; then
	matrix chromium-sandbox dump
	claim "the page's scripts ran in the sandbox" drew chromium-sandbox
fi
finish
