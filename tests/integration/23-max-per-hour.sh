#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# MaxPerHour=2: a program is released from twice, then left alone, and explain says why. A
# command is not bound by it.

. "$(dirname "$0")/lib.sh"

apart
start_daemon '[Trigger]\nRetainedHigh=16M\n[Trim]\nCooldownSec=1s\nMaxPerHour=2\n'
start_retainer 150

claim "the first burst is given back" wait_for 60 rss_is_below "$retainer" 60
echo again >&9
claim "the second burst runs" wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = 2 ]'
claim "and is given back" wait_for 60 rss_is_below "$retainer" 60
echo again >&9
claim "the third burst runs" wait_for 60 eval '[ "$(grep -c retained "$scratch/out")" = 3 ]'
claim "the cap is why nothing is done" wait_for 60 eval \
	'ctl --json=short explain $retainer | has "\"reason\":\"max-per-hour\""'
claim "people are told" eval 'ctl explain $retainer | has "raise MaxPerHour="'
claim "it keeps its memory" eval '! rss_is_below $retainer 100'
claim "a command is carried out" trims "$retainer"
claim "and takes the memory" rss_is_below "$retainer" 60
exec 9>&-
finish
