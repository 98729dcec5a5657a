#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the load on webreport: rounds of concurrent reports between idle phases, and the
# one larger burst. It starts no service, see build.sh and ../bench/run.sh.
#
#	rounds.sh --url=URL --pid=PID [OPTION...]
#
#	--cgroup=DIR		print the usage of this cgroup, not the resident size of PID
#	--rounds=N		default 6
#	--concurrent=N		reports a round, default 4, with --burst 12
#	--size=MIB		of a report, default 46
#	--idle=SECONDS		after each round, default 3, with --burst 15
#	--after=COMMAND		run in each idle phase, with PID and ROUND in its environment
#	--burst			one round of all kinds at once, then print what is left
#
# It prints "round N: X MiB" right after each round, or "burst: X MiB, after Y s: Z MiB",
# and last "survived N rounds". When the service is gone: "killed in round N" if
# the cgroup counted an OOM kill, or else "gone in round N"; exit status 3.

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$HERE/../bench/lib.sh"

# The order matters: between what remains of small blocks the large ones do not fit.
KINDS=(orders pictures scans)

URL=
PID=
CGROUP=
ROUNDS=6
CONCURRENT=
SIZE=46
IDLE=
AFTER=
BURST=

parse_options()
{
	local option

	for option; do
		case $option in
		--url=*) URL=${option#*=} ;;
		--pid=*) PID=${option#*=} ;;
		--cgroup=*) CGROUP=${option#*=} ;;
		--rounds=*) ROUNDS=${option#*=} ;;
		--concurrent=*) CONCURRENT=${option#*=} ;;
		--size=*) SIZE=${option#*=} ;;
		--idle=*) IDLE=${option#*=} ;;
		--after=*) AFTER=${option#*=} ;;
		--burst) BURST=1 ;;
		*) usage "rounds.sh: $option: no such option" ;;
		esac
	done
	[[ $URL && $PID ]] || usage "rounds.sh: --url= and --pid= are needed"
	CONCURRENT=${CONCURRENT:-$((BURST ? 12 : 4))}
	IDLE=${IDLE:-$((BURST ? 15 : 3))}
}

usage_now()
{
	if [[ $CGROUP ]]; then
		cgroup_usage_mib "$CGROUP"
	else
		rss_mib "$PID"
	fi
}

# check_alive ROUND - ends the script when the service is gone.
check_alive()
{
	local word=gone

	process_alive "$PID" && return
	if [[ $CGROUP ]] && (($(cgroup_oom_kills "$CGROUP") > 0)); then
		word=killed
	fi
	echo "$word in round $1"
	exit 3
}

# fetch PATH SECONDS - a failure is no news here, check_alive looks for the reason.
fetch()
{
	curl --silent --output /dev/null --max-time "$2" "$URL$1" || true
}

# reports ROUND - all reports of a round at once; in a burst of all kinds.
reports()
{
	local kind i jobs=()

	for ((i = 0; i < CONCURRENT; i++)); do
		kind=${KINDS[$(((BURST ? i : $1 - 1) % ${#KINDS[@]}))]}
		fetch "/report?kind=$kind&size=$SIZE" 120 &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	# A killed process is seen a moment after its connections broke.
	sleep 0.2
}

# idle ROUND - a little traffic: services are seldom left alone altogether.
idle()
{
	local end=$((SECONDS + IDLE))

	if [[ $AFTER ]]; then
		PID=$PID ROUND=$1 bash -c "$AFTER"
	fi
	while ((SECONDS < end)); do
		fetch / 5
		sleep 0.25
		check_alive "$1"
	done
}

run_rounds()
{
	local round

	for ((round = 1; round <= ROUNDS; round++)); do
		reports "$round"
		check_alive "$round"
		echo "round $round: $(usage_now) MiB"
		idle "$round"
	done
	echo "survived $ROUNDS rounds"
}

run_burst()
{
	local before

	reports 1
	check_alive 1
	before=$(usage_now)
	idle 1
	echo "burst: $before MiB, after $IDLE s: $(usage_now) MiB"
	echo "survived 1 rounds"
}

parse_options "$@"
if [[ $BURST ]]; then
	run_burst
else
	run_rounds
fi
