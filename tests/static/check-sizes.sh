#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Files of agent/ and libhook/ have at most 600 lines of 110 columns, their functions at most 80.
# Tables are not functions and may be longer. Usage: check-sizes.sh [TREE].

set -eu
export LC_ALL=C

cd "${1:-$(dirname "$0")/../..}"
ctags=${CTAGS:-ctags}
file_max=600
function_max=80
column_max=110

if ! "$ctags" --version 2>/dev/null | grep -q 'Universal Ctags'; then
	echo "skip: \"$ctags\" is not universal-ctags, which knows where a function ends"
	exit 77
fi

# In C and headers alike: static inline functions count too.
find agent libhook -name '*.[ch]' -exec "$ctags" --quiet=yes --options=NONE --language-force=C \
	--kinds-C=f --fields=+ne --sort=no -f - {} + |
	awk -F '\t' -v max="$function_max" '
	!/^!/ {
		line = end = 0
		for (i = 4; i <= NF; i++) {
			if ($i ~ /^line:/)
				line = substr($i, 6)
			if ($i ~ /^end:/)
				end = substr($i, 5)
		}
		n++
		if (!end) {
			print "not ok - " $2 ": no end is known of " $1 "()"
			bad = 1
		} else if (end - line + 1 > max) {
			print "not ok - " $2 ":" line ": " $1 "() has " end - line + 1 \
				" lines, more than " max ": split it"
			bad = 1
		}
	}
	END {
		if (n < 50) {
			print "not ok - only " n + 0 " functions were found: is this the source tree?"
			bad = 1
		}
		if (!bad)
			print "ok - none of " n " functions has more than " max " lines"
		exit bad
	}'

find agent libhook -name '*.[ch]' | sort |
	awk -v max="$file_max" -v columns="$column_max" '
	function width(line,   i, n) {
		for (i = 1; i <= length(line); i++)
			n += substr(line, i, 1) == "\t" ? 8 - n % 8 : 1
		return n
	}

	{
		file = $0
		n_files++
		for (n = 0; (r = getline line <file) > 0; n++)
			if (length(line) > columns / 2 && width(line) > columns) {
				print "not ok - " file ":" n + 1 ": more than " columns " columns: break it"
				bad = 1
			}
		close(file)
		if (r < 0 || n > max) {
			print "not ok - " file " has " n " lines, more than " max ": split it"
			bad = 1
		}
	}
	END {
		if (!bad)
			print "ok - none of " n_files " files has more than " max " lines, and none more than " columns " columns"
		exit bad
	}'
