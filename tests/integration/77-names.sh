#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Names of groups that a shell reads otherwise: shown as they are, suggested as they have to be
# typed, and found by what was shown, with slashes that completion adds.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

make_group 300
name='foo\x2dbar it'\''s $(x)'
mkdir "$group/$name"
path=${group#/sys/fs/cgroup/memory}/$name

start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\n'
retainer_group=$group/$name start_retainer 100 1
wait_for 20 is_member "$retainer"

shown()
{
	ctl "$1" | grep -v "^Hint" >"$scratch/shown"
	grep -qF -- "$name" "$scratch/shown"
}

finds()
{
	ctl --json=short explain "$1" >"$scratch/found" || return 1
	jq -e --arg path "$path" '[.[].path] | index($path)' "$scratch/found"
}

claim "status shows the name as it is" shown status
claim "list shows it" shown list
claim "what was shown finds it" finds "$path"
claim "and with a slash behind" finds "$path/"
claim "and with two in front" finds "/$path"
claim "and where its files are" finds "$group/$name"
hint_works()
{
	local hint

	hint=$(ctl status | sed -n 's/^Hint: memguardctl //p')
	echo "hint: $hint"
	eval "set -- $hint"
	[ $# = 2 ] && [ "$2" = "$path" ]
}
claim "the hint can be typed" hint_works
advice_works()
{
	local advice

	ctl --json=short show "$path" >/dev/null
	advice=$(ctl --json=short explain "$path" | jq -r '.[0].advice[].text' |
		sed -n 's/.*memguardctl \(trim\|diagnose\) \(.*\)/\2/p')
	echo "advice: $advice"
	eval "set -- ${advice%%; and*}"
	[ $# = 1 ] && [ "$1" = "$path" ]
}
claim "the advice can be typed" advice_works

finish
