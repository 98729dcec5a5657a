#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the search for the smallest memory limit in which webreport survives six rounds of
# reports, on each allocator and under memguard, on multiples of --step: all of --runs runs
# survive in it, and one in the next smaller limit does not. It begins at what the last search
# found, or where that for the allocator before ended, with one run a limit; only what is left at
# the end gets the rest of its runs, and a run ends with the service. A markdown table; every run
# as a line of JSON to BUILD/bench-limit.jsonl, and how long each search took to standard error.
# Needs root, for cgroups. Some 4 minutes for each variant, 2 where the last search was right.
#
#	limit.sh --build=DIR [OPTION...]
#	limit.sh --build=DIR --readme		the table in README.md, of the last run's results
#
#	--service=BIN	webreport; else it is built into DIR/services
#	--only=VARIANT	glibc, arena-max-2, jemalloc, mimalloc, tcmalloc or memguard; may be repeated
#	--runs=N	default 3
#	--step=MIB	default 20
#	--from=MIB --to=MIB
#			where to look, 100 to 1200: nothing survives in the first
#	--start=MIB	where to begin; default what was found last, or 480
#	--idle=SECONDS	between rounds, default 3

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SERVICES=$HERE/../services
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"
# shellcheck source=tests/bench/variants.sh
. "$HERE/variants.sh"

ONLY=()
RUNS=3
STEP=20
FROM=100
TO=1200
START=
IDLE=3
README=
RESULTS=
declare -A FOUND=()

parse_options()
{
	local option

	for option; do
		variants_option "$option" && continue
		case $option in
		--only=*)
			[[ " ${VARIANTS[*]} " == *" ${option#*=} "* ]] ||
				usage "limit.sh: $option: no such variant"
			ONLY+=("${option#*=}") ;;
		--runs=*) RUNS=${option#*=} ;;
		--step=*) STEP=${option#*=} ;;
		--from=*) FROM=${option#*=} ;;
		--to=*) TO=${option#*=} ;;
		--start=*) START=${option#*=} ;;
		--idle=*) IDLE=${option#*=} ;;
		--readme) README=1 ;;
		*) usage "limit.sh: $option: no such option" ;;
		esac
	done
	variants_build
	if ((${#ONLY[@]} == 0)); then
		ONLY=("${VARIANTS[@]}")
	fi
}

# run_once VARIANT LIMIT - true when it survived all rounds. The outcome is left in OUTCOME, the
# peak in PEAK_MIB.
run_once()
{
	local output

	service_start "$1" "$2"
	output=$("$SERVICES/rounds.sh" --url="$SERVICE_URL" --pid="$SERVICE_PID" \
		--cgroup="$SERVICE_GROUP" --idle="$IDLE") || true
	OUTCOME=${output##*$'\n'}
	PEAK_MIB=$(cgroup_peak_mib "$SERVICE_GROUP")
	jq -nc --arg variant "$1" --argjson limit_mib "$2" --argjson peak_mib "$PEAK_MIB" \
		--arg outcome "$OUTCOME" '$ARGS.named' >>"$RESULTS"
	service_stop
	((N_RUNS += 1))
	[[ $OUTCOME == survived* ]]
}

# try VARIANT AT - one run in the limit of so many steps; HIGH or LOW moves there, or HIGH as far
# down as what the run needed: that is a guess, which has no run of its own yet.
try()
{
	local needed

	if ! run_once "$1" $(($2 * STEP)); then
		LOW=$2
		KILLED=$OUTCOME
		return
	fi
	HIGH=$2
	SURVIVED[$2]=$((${SURVIVED[$2]-0} + 1))
	[[ $PEAK_MIB != null ]] || return 0
	needed=$(((PEAK_MIB + STEP - 1) / STEP))
	if ((needed > LOW && needed < HIGH)); then
		HIGH=$needed
	fi
}

# confirm VARIANT - the rest of the runs in HIGH. The first that fails makes it LOW, and what is
# above is looked at anew.
confirm()
{
	while ((${SURVIVED[HIGH]-0} < RUNS)); do
		if ! run_once "$1" $((HIGH * STEP)); then
			LOW=$HIGH
			KILLED=$OUTCOME
			HIGH=$((TO / STEP + 1))
			return 1
		fi
		SURVIVED[HIGH]=$((${SURVIVED[HIGH]-0} + 1))
	done
}

# next_limit STRIDE - into NEXT: half-way between the limits of which something is known, else so
# many steps from the one.
next_limit()
{
	local lowest=$((FROM / STEP)) highest=$((TO / STEP))

	if ((HIGH <= highest && LOW > lowest)); then
		NEXT=$(((LOW + HIGH) / 2))
	elif ((HIGH <= highest)); then
		NEXT=$((HIGH - $1 > LOW ? HIGH - $1 : LOW + 1))
	else
		NEXT=$((LOW + $1 < HIGH ? LOW + $1 : highest))
	fi
}

# search VARIANT START - the smallest limit survived, in SMALLEST; empty: none up to --to. How the
# service ended in the next smaller one, in KILLED.
search()
{
	local stride=1 NEXT=$(($2 / STEP)) LOW=$((FROM / STEP)) HIGH=$((TO / STEP + 1))
	local -a SURVIVED=()

	SMALLEST=
	KILLED=-
	while ((LOW < TO / STEP)); do
		if ((HIGH - LOW > 1)); then
			try "$1" "$NEXT"
		elif confirm "$1"; then
			SMALLEST=$((HIGH * STEP))
			return
		else
			stride=1
		fi
		next_limit $stride
		((stride *= 2))
	done
}

title()
{
	case $1 in
	arena-max-2) echo "glibc, MALLOC_ARENA_MAX=2" ;;
	memguard) echo "**glibc with memguard**" ;;
	*) echo "$1" ;;
	esac
}

# readme - what searches found, and in how many runs: of their last lines.
readme()
{
	local variant smallest killed runs step

	[[ -e $RESULTS ]] || fail "$RESULTS: no results; run this without --readme first"
	read -r runs step < <(jq -r 'select(.smallest_mib) | "\(.runs) \(.step_mib)"' "$RESULTS") ||
		fail "$RESULTS: no search has ended"
	table_head "" "survived in $runs of $runs runs, MiB" "in $step MiB less"
	while IFS=$'\t' read -r variant smallest killed; do
		table_row "$(title "$variant")" "$smallest" "$killed"
	done < <(jq -r 'select(.smallest_mib) | [.variant, .smallest_mib, .killed] | @tsv' \
		"$RESULTS")
}

# read_found - what the last searches found. Only where to begin: each limit is tried anew.
read_found()
{
	local variant found

	[[ -e $RESULTS ]] || return 0
	while read -r variant found; do
		FOUND[$variant]=$found
	done < <(jq -r 'select(.smallest_mib | tonumber? // false) |
		"\(.variant) \(.smallest_mib)"' "$RESULTS")
}

# search_one VARIANT START - a row, a line of results, and how long it took.
search_one()
{
	local began=$SECONDS N_RUNS=0 found

	search "$1" "$2"
	found=${SMALLEST:-above $TO}
	jq -nc --arg variant "$1" --arg smallest_mib "$found" --arg killed "$KILLED" \
		--argjson runs "$RUNS" --argjson step_mib "$STEP" '$ARGS.named' >>"$RESULTS"
	table_row "$1" "$found" "$KILLED"
	echo "limit.sh: $1: $N_RUNS runs in $((SECONDS - began)) s" >&2
}

main()
{
	local variant start

	parse_options "$@"
	RESULTS=$BUILD/bench-limit.jsonl
	if [[ $README ]]; then
		readme
		return
	fi
	cleanup_at_exit
	[[ $START ]] || read_found
	: >"$RESULTS"
	variants_prepare
	table_head "six rounds" "smallest limit survived in $RUNS of $RUNS runs, MiB" \
		"in $STEP MiB less"
	start=${START:-480}
	for variant in "${ONLY[@]}"; do
		if variant_present "$variant"; then
			search_one "$variant" "${FOUND[$variant]-$start}"
			start=${SMALLEST:-$start}
		else
			table_row "$variant" - -
		fi
	done
}

main "$@"
