#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A decision of a running daemon, written down, is come to again by the replay.

. "$(dirname "$0")/lib.sh"

replay=$top_builddir/tests/replay/replay

record()
{
	ctl record "$retainer" "$1" >"$scratch/$1.round" && grep -q "^now_usec = " "$scratch/$1.round"
}

has()
{
	grep -qx -e "$2" "$scratch/$1.round"
}

apart
start_daemon '[Trigger]\nRetainedHigh=0\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n'
start_retainer 200
claim "before any round there is none to record" eval '! ctl record "$retainer" last'
claim "a calm group is recorded" record now
claim "nothing is to be done there" has now 'expect.act = no'
claim "the replay says the same" "$replay" "$scratch/now.round"

ctl trim "$retainer" >/dev/null
claim "the round of a command is recorded" record last
claim "as one" has last 'command = yes'
claim "it asked the process" has last "expect.picks = $retainer"
claim "the replay asks the same" "$replay" "$scratch/last.round"
sed 's/^expect.act = yes/expect.act = no/' "$scratch/last.round" >"$scratch/bent.round"
claim "and finds a wrong decision" eval '! "$replay" "$scratch/bent.round"'

echo again >&9
wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = 2 ]'
configure '[Trigger]\nRetainedHigh=32M\n[Trim]\nMinRelease=8M\nCooldownSec=1s\n'
ctl reload
claim "a round of its own accord" wait_for 60 rss_is_below "$retainer" 64
claim "is recorded" record last
claim "with its gate" has last 'expect.gate_state = retaining'
claim "its reason" has last 'expect.reason = retained'
claim "the settings in force" has last 'settings.retained_high_bytes = 33554432'
claim "and replayed" "$replay" "$scratch/last.round"
claim "it ends" wait_for 20 logged "released [1-9].*because retained memory is above"
claim "the release is over: recorded and replayed too" eval 'record now && "$replay" "$scratch/now.round"'
claim "another moment is refused" eval '! ctl record "$retainer" then'
claim "so is what is not there" eval '! ctl record nothing.service'
finish
