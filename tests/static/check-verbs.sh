#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The verbs of memguardctl are the same everywhere: in the table, the manual page, and the
# completions of bash and zsh; and so are its options, in help, manual and completions, and which
# verbs each is for, in manual and zsh. The manual also has every key that the daemon puts into
# an answer.
# Usage: check-verbs.sh [TREE], by default the tree it lies in.

set -eu
export LC_ALL=C

tree=${1:-$(dirname "$0")/../..}
cd "$tree"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

# A list that is empty means that this script no longer knows where to look.
keep()
{
	sort -u >"$scratch/$1"
	if [ "$(wc -l <"$scratch/$1")" -lt "$2" ]; then
		echo "not ok - found fewer than $2 entries for $1: has the file changed its form?"
		exit 1
	fi
}

# Same lists? What @1 has and @2 has not, and the other way round.
compare()
{
	missing=$(comm -23 "$scratch/$1" "$scratch/$2" | tr '\n' ' ')
	extra=$(comm -13 "$scratch/$1" "$scratch/$2" | tr '\n' ' ')
	if [ -n "$missing" ]; then
		echo "not ok - in $1 but not in $2: $missing"
		bad=1
	fi
	if [ -n "$extra" ]; then
		echo "not ok - in $2 but not in $1: $extra"
		bad=1
	fi
}

table=agent/ctl/verbs.c
manual=man/memguardctl.1.scd
bash=etc/memguardctl.bash
zsh=etc/memguardctl.zsh
for file in "$table" "$manual" "$bash" "$zsh" agent/report/rows.c agent/memguardctl.c; do
	if ! [ -r "$file" ]; then
		echo "not ok - there is no $file: is \"$tree\" the source tree?"
		exit 1
	fi
done

# Rows { "name", ...; in the manual headings of the section VERBS; in bash the word list; in
# zsh the 'name:help' rows.
sed -n '/^const struct verb ctl_verbs/,/^};/s/^	{ "\([a-z]*\)",.*/\1/p' "$table" | keep verbs-table 10
sed -n '/^# VERBS/,/^# [^V]/s/^\*\([a-z]*\)\*.*/\1/p' "$manual" | keep verbs-manual 10
sed -n "s/^	local verbs='\(.*\)'/\1/p" "$bash" | tr ' ' '\n' | keep verbs-bash 10
sed -n "/^  verbs=(/,/^  )/s/^    ['\"]\([a-z]*\):.*/\1/p" "$zsh" | keep verbs-zsh 10
for list in verbs-manual verbs-bash verbs-zsh; do
	compare verbs-table "$list"
done

# Every "--word" in the option parts.
words()
{
	grep -oE -e '--[a-z][a-z-]*' -e '(^|[^a-z-])-[a-z]([^a-z-]|$)' | grep -oE -e '--?[a-z][a-z-]*' |
		grep -vx -e -h
}
sed -n '/^static const char options/,/;$/p' "$table" | words | keep options-help 10
sed -n '/^# OPTIONS/,/^# [^O]/s/^\(\*-.*\)/\1/p' "$manual" | words | keep options-manual 10
sed -n "/^	local options=/,/'\$/p" "$bash" | words | keep options-bash 10
sed -n '/_arguments -C/,/->argument/p' "$zsh" | grep -v '_arguments' | words | keep options-zsh 10
for list in options-manual options-bash options-zsh; do
	compare options-help "$list"
done

# Options that are for some verbs only: "option verb" for each, by the table that refuses others.
sed -nE 's/^	\{ OPTION_([A-Z]+), " (.*) " \},$/\1 \2/p' agent/memguardctl.c | tr 'A-Z' 'a-z' |
	awk '{ for (i = 2; i <= NF; i++) print $1, $i }' | keep restricted-table 8
for option in $(cut -d' ' -f1 "$scratch/restricted-table" | sort -u); do
	sed -n '/^# OPTIONS/,/^# [^O]/p' "$manual" | awk -v option="$option" '
		/^\*-/ { inside = index($0, "*--" option) == 1 }
		inside' | grep -oE 'For (\*[a-z]+\*(, | and )?)+:' | grep -oE '[a-z]+\*' | tr -d '*' |
		sed "s/^/$option /"
done | keep restricted-manual 8
for option in $(cut -d' ' -f1 "$scratch/restricted-table" | sort -u); do
	sed -n "s/.*--$option=*\[\(.*\)\].*/\1/p" "$zsh" | grep -oE '[a-z, ]+\\:' | grep -oE '[a-z]+' |
		sed "s/^/$option /"
done | keep restricted-zsh 8
for list in restricted-manual restricted-zsh; do
	compare restricted-table "$list"
done

# Keys: the first string of a dict_ call (or of the helpers on top of it), and all between
# underscores in the manual. That one may say more: values, settings.
rows='agent/report/rows.c agent/report/rows-*.c'
# shellcheck disable=SC2086 # several files
cat $rows | tr -d '\n' | grep -oE '(dict_[a-z0-9_]+|put_finite|age)\(dict, "[a-z0-9_]+"' |
	sed 's/.*"\(.*\)"/\1/' | keep keys-rows 90
# shellcheck disable=SC2086 # several files
cat $rows | tr -d '\n' | grep -oE 'put_share\([^;]*' | grep -oE '"[a-z_]+"' | tr -d '"' |
	keep keys-shares 4
cat "$scratch/keys-shares" >>"$scratch/keys-rows"
sort -u -o "$scratch/keys-rows" "$scratch/keys-rows"
sed -n '/^# JSON/,/^# INTERFACE/p' "$manual" | grep -oE '(^|[^a-z0-9_])_[a-z0-9_]+_' |
	sed 's/^[^_]*_//; s/_$//' | keep keys-manual 90
missing=$(comm -23 "$scratch/keys-rows" "$scratch/keys-manual" | tr '\n' ' ')
if [ -n "$missing" ]; then
	echo "not ok - keys of answers that are not in $manual: $missing"
	bad=1
fi

[ "$bad" -eq 0 ] || exit 1
echo "ok - $(wc -l <"$scratch/keys-rows") keys of answers are in the manual"
echo "ok - $(wc -l <"$scratch/verbs-table") verbs and $(wc -l <"$scratch/options-help") options are the same in the table, the manual and both completions"
