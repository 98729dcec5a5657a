#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The table of options, etc/memguard.conf and memguard.conf(5) name the same options, in
# the same sections and order, with the same defaults; and the file, with its options
# uncommented, is one that memguardd takes.
#
#	check-options.sh DUMP-OPTIONS [TREE]

set -eu
export LC_ALL=C

if [ $# -lt 1 ]; then
	echo "Usage: $0 DUMP-OPTIONS [TREE]" >&2
	exit 2
fi

dump=$1
tree=${2:-$(dirname "$0")/../..}
file=$tree/etc/memguard.conf
manual=$tree/man/memguard.conf.5.scd
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

# A checker that cannot look must not be content.
if ! [ -x "$dump" ]; then
	echo "not ok - \"$dump\" cannot be run: build tests/static/dump-options first"
	exit 1
fi
for input in "$file" "$manual"; do
	if ! [ -r "$input" ]; then
		echo "not ok - $input cannot be read: is \"$tree\" the source tree?"
		exit 1
	fi
done

"$dump" >"$scratch/table"
if [ "$(wc -l <"$scratch/table")" -lt 10 ]; then
	echo "not ok - $dump lists fewer than 10 options"
	exit 1
fi

# "#Key=default" below "[Section]". What stands below "#[Section]" is an example.
tab=$(printf '\t')
sed -n -e '/^#*\[/h' -e "/^#[A-Za-z]*=/{ G; s/^#\([A-Za-z]*\)=\(.*\)\n\[\(.*\)\]\$/\3$tab\1$tab\2/p; }" \
	"$file" >"$scratch/file"

# "*Key=*" begins a paragraph in "# [Section] SECTION", which says "Default: *value*."
awk '
	function finish()
	{
		if (key == "")
			return
		gsub(/[ \t]+/, " ", text)
		value = "(no default is named)"
		if (text ~ /Default: empty\./)
			value = ""
		else if (match(text, /Default: \*[^*]*\*\./))
			value = substr(text, RSTART + 10, RLENGTH - 12)
		print section "\t" key "\t" value
		key = ""
	}
	/^# / {
		finish()
		section = ""
		if ($0 ~ /^# \[[A-Za-z]*\] SECTION$/)
			section = substr($2, 2, length($2) - 2)
	}
	/^\*[A-Za-z]*=\*$/ && section != "" {
		finish()
		key = substr($0, 2, length($0) - 3)
		text = ""
		next
	}
	{ text = text " " $0 }
	END { finish() }
' "$manual" >"$scratch/manual"

# @1: what was read; @2: from where, for people.
compare()
{
	if cmp -s "$scratch/table" "$scratch/$1"; then
		echo "ok - $2 has the options and defaults of the table"
		return
	fi

	bad=1
	echo "not ok - $2 differs from agent/config/options.c:"
	diff "$scratch/table" "$scratch/$1" | awk -F "$tab" '
		/^< / { print "#   the table has [" substr($1, 3) "] " $2 "=" $3 }
		/^> / { print "#   here is       [" substr($1, 3) "] " $2 "=" $3 }'
}

compare file "$file"
compare manual "$manual"

sed 's/^#\([A-Za-z]*=\)/\1/; s/^#\(\[.*\]\)$/\1/' "$file" >"$scratch/uncommented.conf"
if "$dump" "$scratch/uncommented.conf" >"$scratch/loaded" 2>"$scratch/errors"; then
	# Overrides follow the options: those are the examples.
	head -n "$(wc -l <"$scratch/table")" "$scratch/loaded" >"$scratch/effective"
	compare effective "$file, uncommented and read,"
else
	bad=1
	echo "not ok - $file, uncommented, is refused:"
	sed 's/^/#   /' "$scratch/errors"
fi

exit "$bad"
