#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Proves that check-documents.sh can fail: on a copy of the tree, each kind of difference in
# turn must be found.

set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
bad=0

mkdir "$tree"
(cd "$here/../.." && find agent libhook -name '*.[ch]' -exec cp --parents {} "$tree" \; &&
	cp --parents ARCHITECTURE.md tests/static/check-layers.sh tests/unit/README.md tests/unit/*.c \
		tests/fuzz/fuzz-kernel.c tests/integration/*.sh man/*.scd etc/memguard.catalog etc/memguard-dbus.conf "$tree")
chmod -R u+w "$tree"

# After the edit @2 of the file @1 the check must fail, and name @3.
refused()
{
	cp "$tree/$1" "$scratch/kept"
	sed -i "$2" "$tree/$1"
	if cmp -s "$tree/$1" "$scratch/kept"; then
		echo "not ok - $1: \"$2\" changes nothing: has the file changed its form?"
		bad=1
	elif "$here/check-documents.sh" "$tree" >"$scratch/out" 2>&1; then
		echo "not ok - $1: \"$2\" is not found"
		bad=1
	elif ! grep '^not ok' "$scratch/out" | grep -qF -e "$3"; then
		echo "not ok - $1: \"$2\" is found, but not by the name $3:"
		sed 's/^/# /' "$scratch/out"
		bad=1
	else
		echo "ok - $1: $2"
	fi
	cp "$scratch/kept" "$tree/$1"
}

if "$here/check-documents.sh" "$tree" >"$scratch/out" 2>&1; then
	echo "ok - the tree as it is passes"
else
	echo "not ok - the tree as it is fails:"
	sed 's/^/# /' "$scratch/out"
	exit 1
fi

refused agent/report/journal.c 's/"NOT_NEEDED"/"UNNEEDED"/' MEMGUARD_UNNEEDED
refused man/memguard.8.scd 's/_MEMGUARD_GONE_/_MEMGUARD_WENT_/' MEMGUARD_WENT
refused etc/memguard.catalog 's/MEMGUARD_ETA_USEC/MEMGUARD_ETA_SEC/' MEMGUARD_ETA_SEC
refused agent/core/alert.c 's/"HELD_BYTES"/"STILL_BYTES"/' MEMGUARD_STILL_BYTES
refused man/memguard.conf.5.scd 's/, _MEMGUARD\\_HURRIED_//' MEMGUARD_HURRIED
refused agent/model/decision.c 's/somebody asked for it/it was wished for/' 'command: it was wished for'
refused man/memguard.8.scd 's/^|  _taken_$/|  _took_/' taken
refused agent/model/group.c 's/return "pressed"/return "squeezed"/' squeezed
refused agent/model/diagnosis.c 's/"heaptrack"/"heap-track"/' heap-track
refused agent/report/rows.c 's/"google-tcmalloc"/"g-tcmalloc"/' g-tcmalloc
refused agent/model/outcome.c 's/return "due"/return "awaited"/' awaited
refused man/memguardctl.1.scd 's/^|  _residue_bytes_$/|  _rest_bytes_/' rest_bytes
refused agent/report/bus.c 's/ON_WHAT("Explain"/ON_WHAT("Justify"/' Justify
refused man/memguardctl.1.scd 's/^|  \*GetConfig\*/|  *GetSettings*/' GetSettings
refused etc/memguard-dbus.conf 's/send_member="Tune"/send_member="Adjust"/' Adjust
refused libhook/environment.c 's/"MALLOC_TOP_PAD_"/"MALLOC_PAD_"/' MALLOC_PAD_
refused agent/memguard.c 's/{ "cgroup-root"/{ "hierarchy"/' --hierarchy
refused agent/memguard.c 's/--log-level=LEVEL/--level=LEVEL/' --level
refused man/memguard.8.scd 's/^\*--config=/*--file=/' --file
refused ARCHITECTURE.md 's/ledger, kill, steps/ledger, kill/' steps
# shellcheck disable=SC2016 # quotes of Markdown
refused ARCHITECTURE.md 's/^| `agent\/sense`/| `agent\/senses`/' agent/sense
refused ARCHITECTURE.md 's/core.warner.c/core\/herald.c/' core/herald.c
# shellcheck disable=SC2016 # quotes of Markdown
refused tests/unit/README.md 's/`test_a_removed_group_ends_its_trigger`/`test_no_such_thing`/' test_no_such_thing
refused tests/unit/README.md 's/22-moved.sh/22-stayed.sh/' 22-stayed.sh
refused agent/model/diagnosis.c 's/facts\[\]/things[]/' 'fewer than'

if "$here/check-documents.sh" "$scratch" >"$scratch/out" 2>&1; then
	echo "not ok - a tree without the files is content"
	bad=1
else
	echo "ok - a tree without the files is refused"
fi

exit "$bad"
