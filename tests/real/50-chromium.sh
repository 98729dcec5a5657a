#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Chromium, which brings its own allocator, a zygote that forks, and a sandbox of namespaces and
# system call filters: prints a page's DOM after its scripts, as root without the sandbox, and
# as a user with it. Row 14: its sandboxes start with one thread, take namespaces of their own,
# and then filter; what is left kills for a call too many. Whoever is asked has to say that it cannot
# release, and whoever is not to be asked is left alone, while all of it is there.
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
document.body.append(words.join(' '));
</script>
EOF
chmod 644 "$scratch/page.html"

# all_told TYPE WORDS [COMMAND...] : of the processes of that type, at least one, each by the daemon; and
# COMMAND with the pid holds for each. They are in the session's process group.
all_told()
{
	local pid n=0

	for pid in $(pgrep -g 0 -f -- "--type=$1"); do
		carries "$pid" && told "$pid" "$2" || return 1
		[ $# -lt 3 ] || "${@:3}" "$pid" || return 1
		n=$((n + 1))
	done
	[ $n -gt 0 ]
}

# Of its standard error nothing is compared: it tells addresses, times, what it misses on the
# machine, and is not the same from run to run. The loader's and our words would be found.
# dump PAGES [OPTION...] : PAGES is what is claimed of the processes that have pages. What it prints is
# more than a pipe holds, so that it stands still with all its processes.
dump()
{
	local status=0

	start_slow "$browser" --headless --disable-gpu --disable-quic --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync --disable-extensions \
		--disable-dev-shm-usage --user-data-dir="$work/data" --virtual-time-budget=10000 --dump-dom "${@:2}" \
		"file://$scratch/page.html" 2>"$work/err"
	meet "$server"
	during "its zygotes are left alone, and the daemon says why" wait_for 60 \
		all_told zygote "adds no thread to a program that has only one" is_passive
	"$1"
	end_slow || status=$?
	echo "status $status"
	grep -E 'ld\.so|LD_PRELOAD|memguard|Received signal|Check failed' "$work/err" || true
}

pages_refuse()
{
	during "its processes with pages refuse as well" wait_for 60 all_told renderer "$refusal"
}

pages_are_alone()
{
	during "those with pages are left alone, and the daemon says why" wait_for 60 \
		all_told renderer "system call filter" is_passive
}

drew()
{
	grep -q '>488893<' "$scratch/$1.plain.out"
}

refusal='its allocator has no way to give back'
export DBUS_SESSION_BUS_ADDRESS=disabled:
matrix chromium dump pages_refuse --no-sandbox
claim "the page's scripts ran" drew chromium

as_user nobody
if user unshare -U true 2>/dev/null; then
	matrix chromium-sandbox dump pages_are_alone
	claim "the page's scripts ran in the sandbox" drew chromium-sandbox
fi
finish
