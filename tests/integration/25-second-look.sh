#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What became of a release: taken again before the next round; still free a minute later; nobody
# left to be looked at.

. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root for cgroups of its own"
start_daemon '[Trigger]\nRetainedHigh=64M\n[Trim]\nCooldownSec=1s\n'
make_group 1000
mkdir "$group/stays" "$group/goes"

# look GROUP NTH KEY : of the second look at the NTH round of the group that released.
look()
{
	ctl --json=short history | python3 -c '
import json, sys
rounds = [r for r in json.load(sys.stdin)
          if r["name"].endswith(sys.argv[1]) and r["kind"] == "released"]
nth = int(sys.argv[2])
look = rounds[nth].get("second_look", {}) if len(rounds) > nth else {}
print(look.get(sys.argv[3], 0))' "$@"
}

retainer_group=$group/stays
start_retainer 150
claim "a burst is given back" wait_for 60 eval '[ "$(look stays 0 state)" = due ]'
echo again >&9
claim "and so is another one" wait_for 90 eval '[ "$(look stays 1 state)" = due ]'
claim "before it the first was looked at" test "$(look stays 0 state)" = taken
ctl explain >"$scratch/explained"
claim "the next is put off for that, and not because it gave little" \
	grep -q "Back-off:.* in use again soon: while all is calm" "$scratch/explained"
claim "most of it had been taken again" test "$(look stays 0 returned_bytes)" -gt $((64 << 20))
claim "a page fault for each page" test "$(look stays 0 page_faults)" -gt $((64 << 8))
exec 8>&9

retainer_group=$group/goes
start_retainer 150
claim "a program in another group gives back" wait_for 60 eval '[ "$(look goes 0 state)" = due ]'
exec 9>&-
wait "$retainer" || true
rmdir "$group/goes"
claim "when it ends nobody is left to be looked at" wait_for 60 eval '[ "$(look goes 0 state)" = gone ]'

claim "a minute later the second is looked at" wait_for 90 eval '[ "$(look stays 1 state)" = taken ]'
claim "it is still free" test "$(look stays 1 returned_bytes)" -lt $((32 << 20))
claim "the log says so" wait_for 10 logged 'after round [0-9]+, which released .*(still free|in use again); .* page faults'
ctl explain >"$scratch/explained"
claim "explain says so" grep -q "in use again after" "$scratch/explained"
exec 8>&-
finish
