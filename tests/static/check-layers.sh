#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Who may include whom, as in ARCHITECTURE.md: every #include of agent/ and libhook/ is
# looked at. Tests are free. Usage: check-layers.sh [TREE], by default the tree it lies in.

set -eu
export LC_ALL=C

tree=${1:-$(dirname "$0")/../..}
cd "$tree"

# A checker that sees nothing must not be content.
for folder in agent/basic agent/model agent/policy agent/config agent/sense agent/hook \
	agent/report agent/core libhook; do
	if ! ls "$folder"/*.h >/dev/null 2>&1; then
		echo "not ok - there are no headers in $folder: is \"$tree\" the source tree?"
		exit 1
	fi
done

# Folder; which system headers its files may have beside those named ("libc": all but the
# libraries below, "pure": none); and an extended regular expression of what they may
# include outside their own folder, where "<" begins a system header.
rules()
{
	cat <<-'RULES'
	agent/basic   libc  ^$
	agent/model   libc  ^(agent/basic/.*|libhook/wire\.h)$
	agent/policy  pure  ^(agent/model/.*|agent/basic/macro\.h|<(errno|inttypes|limits|stdbool|stddef|stdint|string)\.h)$
	agent/config  libc  ^(agent/(model|basic)/.*|<ini\.h)$
	agent/sense   libc  ^(agent/(model|basic)/.*|<libproc2/.*)$
	agent/hook    libc  ^(agent/(model|basic)/.*|libhook/wire\.h|<systemd/sd-event\.h)$
	agent/report  libc  ^(agent/(model|basic)/.*|<systemd/sd-(bus|event|id128)\.h)$
	agent/core    libc  ^(agent/(config|sense|policy|hook|report|model|basic)/.*|<systemd/sd-(event|login)\.h)$
	agent/ctl     libc  ^(agent/basic/.*|agent/report/bus-names\.h|<(systemd/sd-bus|jansson)\.h|<libsmartcols.*)$
	agent         libc  ^(agent/.*|<systemd/sd-daemon\.h)$
	libhook       libc  ^$
	RULES
}

# Libraries belong to the folder whose work they do.
libraries='^<(systemd/|libproc2/|ini[.]h|jansson[.]h|libsmartcols)'

find agent libhook -name '*.[ch]' | sort |
	RULES=$(rules) awk -v libraries="$libraries" '
	function complain(text) { print "not ok - " text; bad = 1 }
	function folder_of(path) { sub("/[^/]*$", "", path); return path }
	function exists(path,   line, r) { r = getline line <path; close(path); return r >= 0 }

	# 1: this file may include that; else 0.
	function allowed(folder, include)
	{
		if (include ~ /^</ && kind[folder] == "libc" && include !~ libraries)
			return 1
		if (include !~ /^</ && folder_of(include) == folder)
			return 1
		return include ~ rule[folder]
	}

	function check(file, folder, line)
	{
		# A macro as the argument would be looked at by nobody.
		if (line !~ /^[ \t]*#[ \t]*include[ \t]*(<[^>]+>|"[^"]+")/) {
			complain(file ": cannot read \"" line "\": write \"...\" or <...>")
			return
		}
		n_includes++
		sub(/^[^<"]*"?/, "", line)
		sub(/[">].*/, "", line)
		if (line !~ /^<|^agent\/|^libhook\//)
			complain(file " includes \"" line "\": write it from the top of the tree")
		else if (line !~ /^</ && !exists(line))
			complain(file " includes \"" line "\", which does not exist")
		else if (!allowed(folder, line))
			complain(file " includes " line ", which " folder " may not")
	}

	BEGIN {
		n = split(ENVIRON["RULES"], lines, "\n")
		for (i = 1; i <= n; i++) {
			split(lines[i], column, " +")
			kind[column[1]] = column[2]
			rule[column[1]] = column[3]
		}
	}

	{
		file = $0
		folder = folder_of(file)
		n_files++
		if (!(folder in rule)) {
			complain(file " is in a folder that has no rule here")
			next
		}
		while ((r = getline line <file) > 0)
			if (line ~ /^[ \t]*#[ \t]*(include|import)/)
				check(file, folder, line)
		if (r < 0)
			complain(file " cannot be read")
		close(file)
	}

	END {
		if (n_includes < 100)
			complain("only " n_includes " includes in " n_files " files: is this the source tree?")
		if (!bad)
			print "ok - " n_includes " includes in " n_files " files keep to their layers"
		exit bad
	}'
