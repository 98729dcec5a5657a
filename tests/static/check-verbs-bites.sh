#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-verbs.sh can fail: on a copy of its files, each kind of difference in
# turn must be found.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
bad=0

mkdir "$tree"
(cd "$here/../.." && cp --parents agent/memguardctl.c agent/ctl/verbs.c agent/report/rows.c man/memguardctl.1.scd \
	etc/memguardctl.bash etc/memguardctl.zsh "$tree")
chmod -R u+w "$tree"

# After the edit @2 of the file @1 the check must fail.
refused()
{
	cp "$tree/$1" "$scratch/kept"
	sed -i "$2" "$tree/$1"
	if cmp -s "$tree/$1" "$scratch/kept"; then
		echo "not ok - $1: \"$2\" changes nothing: has the file changed its form?"
		bad=1
	elif "$here/check-verbs.sh" "$tree" >"$scratch/out" 2>&1; then
		echo "not ok - $1: \"$2\" is not found"
		bad=1
	else
		echo "ok - $1: $2"
	fi
	cp "$scratch/kept" "$tree/$1"
}

if "$here/check-verbs.sh" "$tree" >"$scratch/out" 2>&1; then
	echo "ok - the tree as it is passes"
else
	echo "not ok - the tree as it is fails:"
	sed 's/^/# /' "$scratch/out"
	exit 1
fi

refused agent/ctl/verbs.c 's/^	{ "trim"/	{ "squeeze"/'
refused agent/ctl/verbs.c 's/--verbose/--wordy/'
refused man/memguardctl.1.scd 's/^\*explain\*/explain/'
refused man/memguardctl.1.scd 's/^\*--hook=/*--hock=/'
refused man/memguardctl.1.scd 's/_eta_usec_/eta/'
refused etc/memguardctl.bash "s/ verify reload'/ verify'/"
refused etc/memguardctl.bash 's/--no-pager //'
refused etc/memguardctl.zsh "/^    'list:/d"
refused etc/memguardctl.zsh '/--no-legend/d'
refused agent/memguardctl.c 's/OPTION_METHOD, " trim diagnose "/OPTION_METHOD, " trim "/'
refused man/memguardctl.1.scd 's/^	For \*verify\*: look/	For *config*: look/'
refused etc/memguardctl.zsh 's/verify\\: look there/look there/'
refused agent/report/rows.c 's/"kind"/"sort"/'
refused agent/ctl/verbs.c 's/ctl_verbs\[\]/verbs[]/'

if "$here/check-verbs.sh" "$scratch" >"$scratch/out" 2>&1; then
	echo "not ok - a tree without the files is content"
	bad=1
else
	echo "ok - a tree without the files is refused"
fi

exit "$bad"
