#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Where too little is expected for a round, explain says how old that is, and when it is renewed.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

make_group 50
start_daemon '[Trigger]\nRetainedHigh=0\nPressureSome=0\nOomEtaSec=0\nUsageHigh=50%\nUsageCritical=95%\n[Trim]\nMinRelease=200M\nCooldownSec=10min\n'
retainer_group=$group start_retainer 40 1
wait_for 20 is_member "$retainer"

is_waiting()
{
	ctl --json=short explain "$retainer" |
		jq -e '.[0] | .reason == "not-worth" and .verdict == "retained" and .heap_age_usec != null'
}
claim "a release is not worth it" wait_for 60 is_waiting
claim "and when that may be another is told" eval \
	'ctl explain "$retainer" | tr -s "\n " " " | has "Next: nothing, until.* it was measured [0-9a-z ]* ago, and is again every few seconds"'
claim "and why nobody was asked" eval 'ctl explain "$retainer" | has "Not asked: .*MinRelease="'
ctl trim "$retainer" >/dev/null
claim "which is no news after a round that asked" eval '! ctl explain "$retainer" | has "Not asked:"'

finish
