#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What people see: the most urgent group first, the verdict on 80 columns, lines that fit the
# terminal, figures that agree from verb to verb, and the truth where there is nothing to see.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

command -v script >/dev/null || skip "no script(1) here"

# at COLUMNS VERB... : what a terminal of so many columns is sent, in $scratch/seen.
at()
{
	local columns=$1

	shift
	TERM=xterm script -qec "stty cols $columns rows 60; \
		'$MEMGUARDCTL' --no-pager --runtime-directory='$runtime' $*" "$scratch/typescript" |
		tr -d '\r' >"$scratch/colours"
	sed 's/\x1b\[[0-9;]*m//g' "$scratch/colours" >"$scratch/seen"
	cat "$scratch/seen"
}

# seen N PATTERN : on exactly N lines.
seen()
{
	[ "$(grep -cE -e "$2" "$scratch/seen")" -eq "$1" ]
}

# The longest line, in characters, but for those with a whole path.
widest()
{
	grep -vF "${name%/*}" "$scratch/seen" | LC_ALL=C.UTF-8 wc -L
}

fits()
{
	at "$@" && [ "$(widest)" -le "$1" ]
}

# Of a table in $scratch/seen: the first column of line N.
entry()
{
	awk -v n="$1" 'found && NF { if (++i == n) print $1 } /^ *(GROUP|PID) / { found = 1 }' "$scratch/seen"
}

other()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$MEMGUARDCTL" --runtime-directory="$runtime" "$@"
}

tells_other()
{
	other "$1" 2>&1 | grep -E -e "$2"
}

points_to_past()
{
	! ctl explain "$name" >"$scratch/told" 2>&1 &&
		grep -F "any more: \"memguardctl history $name\"" "$scratch/told"
}

high_is_first()
{
	at 80 status && [[ $(entry 1) == */high ]] && seen 1 ' (high|critical) '
}

same_order()
{
	ctl status | awk 'found && NF && !/^Hint/ { print $1 } /^ *GROUP / { found = 1 }' >"$scratch/order"
	ctl explain | awk '/^[^ ].* \// { print $2 }' >"$scratch/explained"
	cat "$scratch/order" "$scratch/explained"
	[ "$(wc -l <"$scratch/order")" -gt 1 ] && cmp "$scratch/order" "$scratch/explained"
}

#
# A daemon with figures that stand still.
#

"$shims/fake-daemon" "$runtime" stale >"$scratch/fake" &
fake=$!
started+=("$fake")
wait_for 20 grep -q ready "$scratch/fake"
at 140 status
claim "the group that will be killed is the first, the calm one the last" eval \
	'[[ $(entry 1) == nightly-*.service && $(entry 2) == webreport.service && $(entry 3) == /* ]]'
claim "figures that usage has outgrown are no figures" seen 1 '^/containers/b7e1 .* \? +\? calm'
claim "nothing else is doubted" seen 1 ' \? '
"$shims/fake-daemon" "$scratch/other" released >"$scratch/released" &
started+=("$!")
wait_for 20 grep -q ready "$scratch/released"
claim "nor are those that a release has outdated, but what it left" eval \
	'runtime=$scratch/other at 140 status; seen 1 "^webreport.service .* \? +[0-9.]+[KM] "'
at 140 status
claim "of what grows the kill is told, and no setting" eval \
	'at 120 explain nightly-batch-with-a-long-name.service; seen 1 "Next: no release can help" && seen 0 MinRelease=.to'
at 80 explain webreport.service
claim "on 80 columns no signal takes two lines" eval \
	'! sed -n "/^SIGNAL/,/^$/p" "$scratch/seen" | has "^ "'
at 44 explain webreport.service
claim "on 44 columns none takes a line for each word" eval \
	'sed -n "/^SIGNAL/,/^  Signals:/p" "$scratch/seen" >"$scratch/tables" && ! has "^ *[a-z]\{1,4\}\$" <"$scratch/tables" &&
	[ "$(grep -c . "$scratch/tables")" -le 30 ]'
for columns in 44 80; do
	at $columns list
	claim "what is wrong with a process is told on $columns columns" seen 1 '^Note on 77001: did not answer$'
done
at 120 list
claim "on wider ones beside it" eval 'seen 1 "^77001 .* did not answer *$" && seen 0 "^Note on"'
claim "the help fits 80 columns" eval '[ "$(ctl --help | wc -L)" -le 80 ]'
at 120 explain nightly-batch-with-a-long-name.service
# The words in $scratch/seen, one a line. Ages are others the next time.
words()
{
	tr -s ' \n' '\n' <"$scratch/seen" | grep -v '[0-9]' | sort -u
}

# No word at 60 columns that is none at 300.
breaks_no_word()
{
	at 300 explain nightly-batch-with-a-long-name.service >/dev/null
	words >"$scratch/whole"
	at 60 explain nightly-batch-with-a-long-name.service
	words | comm -23 - "$scratch/whole" | tee "$scratch/broken"
	! [ -s "$scratch/broken" ]
}
claim "on 60 columns lines are broken between words" breaks_no_word
at 120 explain nightly-batch-with-a-long-name.service
claim "stalls of now stand beside their threshold" seen 1 \
	'^pressure +12.34% +10% +PressureSome= +reached, 2.34% over, last 10s$'
claim "those of the machine too" seen 1 '^machine +0.5% +- +MachinePressureSome= +off'
claim "and how often the limit was hit" seen 1 '^at limit +41 +42 +UsageHigh=80% +critical if above'
kill "$fake"
wait "$fake" || true

#
# And a real one.
#

if [ "$(id -u)" != 0 ]; then
	echo "ok - a real daemon # SKIP needs root for a cgroup, and to become another user"
	finish
fi
chmod 755 "$scratch"
start_daemon '[Guard]\nMode=observe\n[Service nobody]\nUsageCritical=99%\nUsageHigh=50%\n[Cgroup /*]\nMaxPerHour=9\n'
claim "another user is told that nothing is guarded while nothing is" \
	tells_other status 'Nothing is guarded now'

make_group 600
mkdir "$group/high" "$group/low"
echo $((105 << 20)) >"$group/high/memory.limit_in_bytes"
rm -f "$scratch/stdin"
mkfifo "$scratch/stdin"
(
	echo 0 >"$group/high/cgroup.procs"
	hooked MEMGUARD_AGENT=always /usr/bin/python3 -c 'x = bytearray(84 << 20); input()' <"$scratch/stdin"
) &
holder=$!
started+=("$holder")
exec 8>"$scratch/stdin"
wait_for 20 is_member "$holder"
# Of two the younger one is named first where nobody sorts them.
retainer_group=$group/low start_retainer 100
wait_for 20 is_member "$retainer"
name=$(ctl --json=short list "$holder" | jq -r '.[0].path')
ctl show "$holder" >/dev/null

claim "a group above UsageHigh= comes first" wait_for 20 high_is_first
claim "explain has the order of status" same_order
claim "and one far from its limit after it" eval '[[ $(entry 2) == */low ]]'
claim "the hint is about the first" seen 1 "^Hint: memguardctl explain $name\$"
claim "on 80 columns there is a verdict" seen 1 '^GROUP.* VERDICT$'
claim "and the path has lost its middle" eval '[[ $(entry 1) == /*...*/high ]]'
for columns in 80 100 120 140 170; do
	claim "status fits $columns columns" fits $columns status
	claim "list fits $columns columns" fits $columns list
	claim "and no group loses its end" eval 'seen 1 "/high " && seen 1 "/low "'
	claim "explain fits $columns columns" fits $columns explain
done

if grep -qs some /proc/pressure/memory; then
	claim "the pressure of the machine is a figure" eval \
		'ctl --json=short explain "$holder" | jq -e ".[0].machine_pressure_now_permyriad | numbers | . <= 10000"'
fi

at 80 explain "$holder"
cp "$scratch/seen" "$scratch/coloured"
claim "there is colour on a terminal" grep -q $'\x1b\\[' "$scratch/colours"
claim "NO_COLOR takes it away" eval 'NO_COLOR=1 at 80 explain "$holder"; ! grep -q $'"'\x1b'"' "$scratch/colours"'
# What it holds may have changed meanwhile.
breaks()
{
	grep -A3 Verdict: "$1" | sed 's/[0-9]/0/g'
}
claim "and lines break where they did" eval \
	'diff <(breaks "$scratch/coloured") <(breaks "$scratch/seen")'

claim "what is mapped singly is in use too" eval \
	'at 80 list "$holder"; awk "/high/ { exit !(\$5 + 0 >= 80) }" "$scratch/seen"'
claim "a section that matches nothing is named" eval \
	'at 170 config; seen 1 "memguard.conf:4: \[Service nobody.service\] matches nothing that is guarded now"'
claim "and a pattern that overrides all" seen 1 \
	"memguard.conf:7: \[Cgroup /\*\] matches all that is guarded now: it overrides the plain"
claim "no other section" seen 2 "that is guarded now"
claim "in JSON, too" eval '[ "$(ctl --json=short config | jq -c "[.[] | select(.matched_groups) |
	[.section, .matched_groups, .matches_all]] | unique")" = \
	"[[\"Cgroup /*\",2,true],[\"Service nobody.service\",0,false]]" ]'
claim "but not for who does not see all" eval '! other --json=short config | has matched_groups'

claim "another user is told whose the processes are" tells_other status 'None of the 2 guarded processes is yours'
claim "by list" tells_other list 'None of the 2 guarded processes is yours'
claim "by explain" tells_other explain 'None of the 2 guarded processes is yours'
claim "by name he is not told to put under guard what is" eval \
	'{ other list "$name" 2>&1 || true; } | has "is guarded, as far as you may see: with sudo"'
claim "history is empty for him, as for all" tells_other history 'No round has asked anybody'
ctl trim "$retainer" >/dev/null
claim "then is not" tells_other history 'None of the 1 round '

name=${name%/*}/low
exec 9>&-
wait "$retainer" || true
rmdir "$group/low"
claim "of what has gone the past is pointed to" wait_for 60 points_to_past
claim "which is there" eval 'ctl history "$name" | has "command "'
exec 8>&-

# More than are asked at once: the others are told of, not left out in silence.
many=()
mkdir "$group/many"
for i in $(seq 67); do
	(
		echo 0 >"$group/many/cgroup.procs"
		exec "$shims/fake-hook" "$runtime/hook.sock" good 0 >/dev/null
	) &
	many+=($!)
	started+=($!)
done
all=${name%/*}/many
claim "there are many" wait_for 60 eval '[ "$(ctl --json=short list "$all" | jq length)" = 67 ]'
claim "show says how many it leaves out" eval \
	'ctl --json=short show "$all" >"$scratch/seen" 2>"$scratch/told" &&
	[ "$(jq length "$scratch/seen")" = 64 ] && grep -qF "3 more are not shown" "$scratch/told"'
kill "${many[@]}"
wait_for 60 rmdir "$group/many"
finish
