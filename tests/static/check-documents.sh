#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the programs call by a name, the documents name, and the other way round: fields of the
# journal, variables of Exec=, reasons (and their texts, word for word), states, verdicts,
# evidence, advice, the calls and signals of the bus, variables of the environment, options of
# memguardd; the keys of answers that memguardctl(1) has; the files that ARCHITECTURE.md names, and
# the tests that tests/unit/README.md does.
# What check-verbs.sh, check-options.sh and check-catalog.sh look at is theirs.
# Usage: check-documents.sh [TREE], by default the tree it lies in.

set -eu
export LC_ALL=C

tree=${1:-$(dirname "$0")/../..}
cd "$tree"

daemon=man/memguard.8.scd
ctl=man/memguardctl.1.scd
settings=man/memguard.conf.5.scd
hook=man/memguard-hook.7.scd
for file in $daemon $ctl $settings $hook ARCHITECTURE.md agent/report/journal.c agent/model/decision.c; do
	if ! [ -r "$file" ]; then
		echo "not ok - there is no $file: is \"$tree\" the source tree?"
		exit 1
	fi
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

# keep NAME LEAST: a list from standard input; one too short means that a file changed its form.
keep()
{
	sort -u >"$scratch/$1"
	if [ "$(wc -l <"$scratch/$1")" -lt "$2" ]; then
		echo "not ok - found fewer than $2 of: $1; has a file changed its form?"
		exit 1
	fi
}

# within WHAT IN WHERE: every line of the list WHAT is one of the list IN.
within()
{
	missing=$(comm -23 "$scratch/$1" "$scratch/$2" | tr '\n' ' ')
	if [ -n "$missing" ]; then
		echo "not ok - $1 that are not in $3: $missing"
		bad=1
	else
		echo "ok - $(wc -l <"$scratch/$1") $1 are in $3"
	fi
}

# What a page sets apart: _this_ and *that*; the escaped and the plain underscore are one.
marked()
{
	sed 's/\\_/_/g' | grep -oE '(^|[^A-Za-z0-9_*])[_*][A-Za-z_][A-Za-z0-9_-]*[_*]' |
		sed -E 's/^[^A-Za-z_*]//; s/^[_*]//; s/[_*]$//'
}

section()
{
	sed -n "/^# $2\$/,/^# /p" "$1"
}

# rows FILE TABLE: "name", or name and text separated by a tab, of each row of TABLE[].
rows()
{
	sed -n "/$2\[.*\] = {/,/^};/p" "$1" | tr -d '\n\t' | sed 's/" *"//g; s/\[[A-Z0-9_]*\] =/\n/g' |
		sed -nE 's/^ *\{? *"([^"]*)"(, *"([^"]*)")?.*/\1\t\3/p'
}

# returned FILE FUNCTION: what a function returns, but for "unknown".
returned()
{
	sed -n "/^const char \*$2(/,/^}/p" "$1" | sed -n 's/.*return "\([^"]*\)".*/\1/p' | grep -vx -e unknown -e none
}

for page in daemon ctl settings hook; do
	eval "file=\$$page"
	marked <"$file" | keep "names-$page" 50
done

# Fields of the journal, both ways.
{
	cat agent/report/journal*.c | tr -d '\n' | grep -oE 'text_field\([^"]*"[A-Z_]+"' | grep -oE '"[A-Z_]+"'
	cat agent/report/journal*.c | tr -d '\n' | grep -oE 'text_number\([^"]*"[A-Z_]+"' |
		grep -oE '"[A-Z_]+"' | sed 's/^"/"MEMGUARD_/'
	cat agent/report/journal*.c | grep -oE '(\\n|")(OBJECT|MESSAGE|CONFIG)_[A-Z_]+=' | sed 's/^\\n/"/; s/=$//'
} | tr -d '"' | grep -vx MESSAGE | keep 'fields of the journal' 40
section $daemon JOURNAL | sed 's/^|\[ \*MEMGUARD_ALERT=\*/|[ _MEMGUARD_ALERT_/; s/=182a/_ /' | marked |
	grep -E '^(MEMGUARD|MESSAGE|CONFIG|OBJECT)_' | keep 'documented fields' 40
within 'fields of the journal' 'documented fields' $daemon
within 'documented fields' 'fields of the journal' 'agent/report'
grep -oE 'MEMGUARD_[A-Z_]+' etc/memguard.catalog | keep 'fields of the catalog' 5
within 'fields of the catalog' 'fields of the journal' 'agent/report'

# Variables of Exec=, both ways.
sed -n '/^static bool describe/,/^}/p' agent/core/alert.c |
	sed -nE 's/.*text_number\(text, "/MEMGUARD_/p; s/.*text_field\(text, "//p' | sed 's/".*//' |
	keep 'variables of Exec=' 10
section $settings '\[Alert\] SECTION' | marked | grep '^MEMGUARD_' | keep 'documented variables of Exec=' 10
within 'variables of Exec=' 'documented variables of Exec=' $settings
within 'documented variables of Exec=' 'variables of Exec=' agent/core/alert.c

# Reasons: in the manual each has a row that begins with the text that programs show.
rows agent/model/decision.c reasons | grep -v '^none	' | keep reasons 20
sed -n '/^## Reasons/,/^# /p' $daemon | tr '\n' ' ' | sed 's/|[[ ]  *_/\n_/g' | sed 's/[_*]//g; s/  */ /g' >"$scratch/texts"
while IFS='	' read -r name text; do
	grep -qF "$name :< $text" "$scratch/texts" || grep -qF "$name : $text" "$scratch/texts" || {
		echo "not ok - $daemon does not say of $name: $text"
		bad=1
	}
done <"$scratch/reasons"
[ "$bad" -ne 0 ] || echo "ok - $(wc -l <"$scratch/reasons") reasons are explained by the words that programs use"

{
	returned agent/model/group.c gate_state_to_string
	returned agent/model/alert.c alert_kind_to_string
	returned agent/model/outcome.c outcome_kind_to_string
} | keep 'states and alerts' 12
within 'states and alerts' names-daemon $daemon

{
	for table in facts advices verdicts; do rows agent/model/diagnosis.c $table; done
	for table in refusals silences; do rows agent/model/outcome.c $table; done
	for table in whys methods; do rows agent/model/decision.c $table; done
	rows agent/report/rows.c knobs
	sed -n '/^static const char \*const allocators/,/};/p' agent/report/rows.c | grep -oE '"[a-z-]+"' | tr -d '"'
} | cut -f1 | keep 'names of tables' 70
{
	for function in source_to_string group_kind_to_string; do returned agent/model/group.c $function; done
	for function in outcome_kind_to_string look_state_to_string; do returned agent/model/outcome.c $function; done
	returned agent/model/steps.c step_to_string
	returned agent/model/alert.c alert_kind_to_string
} | keep 'names that are returned' 20
# The knobs of MEMGUARD_MALLOPT are explained where that is.
cat "$scratch/names-ctl" "$scratch/names-hook" | keep names-both 50
within 'names of tables' names-both $ctl
within 'names that are returned' names-ctl $ctl

# Keys of the manual's tables exist, in answers of the daemon or as memguardctl adds them.
sed -n '/^# JSON/,/^# INTERFACE/p' $ctl | grep -E '^\|' | marked | grep -v '^[A-Z]' | keep 'documented keys' 100
cat agent/report/*.c agent/ctl/*.c agent/model/*.c | grep -oE '"[a-z0-9_-]+"' | tr -d '"' | keep strings 300
within 'documented keys' strings agent

# The bus, both ways, and what it lets everybody call is there.
sed -n '/^static const sd_bus_vtable vtable/,/^};/p' agent/report/bus.c | grep -oE '\("[A-Za-z]+"' |
	tr -d '("' | keep 'members of the interface' 15
section $ctl INTERFACE | grep -E '^\||^:<' | marked | grep '^[A-Z]' | keep 'documented members' 15
within 'members of the interface' 'documented members' $ctl
within 'documented members' 'members of the interface' agent/report/bus.c
grep 'org.memguard.Manager1" send_member' etc/memguard-dbus.conf | sed 's/.*send_member="//; s/".*//' | keep 'calls of everybody' 10
within 'calls of everybody' 'members of the interface' agent/report/bus.c

# Variables that the hook heeds; MALLOC_ARENA_TEST only tells it whether ArenaMax= comes late.
grep -oE '"(MEMGUARD|MALLOC|GLIBC|SYSTEMD|JE_|_RJEM_|MIMALLOC|TCMALLOC)[A-Z_]*"' libhook/environment.c |
	tr -d '"' | grep -vx MALLOC_ARENA_TEST | keep 'variables of the hook' 12
sed 's/[*_]*=\?[*_]/ /; s/\\_/_/g' $hook | grep -oE '_?[A-Z][A-Z_]+[A-Z]_?' | keep 'capitals of the page' 20
{ cat "$scratch/capitals of the page"; sed 's/^_//; s/_$//' "$scratch/capitals of the page"; } | keep capitals 20
within 'variables of the hook' capitals $hook

# memguardd's options.
sed -n '/^static const struct option options/,/^};/p' agent/memguard.c |
	sed -n 's/.*{ "\([a-z-]*\)".*/--\1/p' | keep 'options of memguardd' 6
sed -n '/^static const char help/,/;$/p' agent/memguard.c | grep -oE -e '--[a-z][a-z-]+' | keep 'options in its help' 6
section $daemon OPTIONS | grep '^\*' | grep -oE -e '--[a-z][a-z-]+' | keep 'options on its page' 6
within 'options of memguardd' 'options in its help' 'its help'
within 'options in its help' 'options of memguardd' agent/memguard.c
within 'options of memguardd' 'options on its page' $daemon
within 'options on its page' 'options of memguardd' agent/memguard.c

# ARCHITECTURE.md: the nouns and the policies are those there are; files that it names exist.
for folder in model policy; do
	sed -n "s/^| \`agent\/$folder\` | [^:]*: \([^|]*\) |.*/\1/p" ARCHITECTURE.md | sed 's/, /\n/g' |
		keep "names of $folder" 5
	for file in "agent/$folder"/*.h; do basename "$file" .h; done | keep "headers of $folder" 5
	within "names of $folder" "headers of $folder" "agent/$folder"
	within "headers of $folder" "names of $folder" ARCHITECTURE.md
done
for file in agent/*/ libhook/; do
	file=${file%/}
	grep -q "^| \`$file\` |" ARCHITECTURE.md && continue
	echo "not ok - ARCHITECTURE.md has no row for the folder $file"
	bad=1
done
# shellcheck disable=SC2016 # quotes of Markdown
for file in $(grep -oE '`[a-z-]+/[a-z/-]+\.[a-z]+`' ARCHITECTURE.md | tr -d '`' | sort -u); do
	[ -e "$file" ] || [ -e "agent/$file" ] && continue
	echo "not ok - ARCHITECTURE.md names $file, which does not exist"
	bad=1
done

# The tests that the list of traps names exist.
traps=tests/unit/README.md
if ! [ -r $traps ]; then
	echo "not ok - there is no $traps"
	exit 1
fi
# shellcheck disable=SC2016 # quotes of Markdown
grep -oE '`test_[a-z0-9_]+`' $traps | tr -d '`' | keep 'tests of traps' 15
cat tests/unit/*.c | sed -n 's/^static void \(test_[a-z0-9_]*\)(void)$/\1/p' | keep 'unit tests' 100
within 'tests of traps' 'unit tests' tests/unit
# shellcheck disable=SC2016 # quotes of Markdown
for file in $(grep -oE '`\.\./[^`]+`' $traps | tr -d '`' | sort -u); do
	[ -e "tests/unit/$file" ] && continue
	echo "not ok - $traps names $file, which does not exist"
	bad=1
done

exit $bad
