#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the search for the smallest memory limit in which webreport survives six rounds of
# reports, on each allocator and under memguard: by halving, on multiples of --step. A limit
# counts as survived when all of --runs runs in it are. A markdown table; every run as a line
# of JSON to BUILD/bench-limit.jsonl. Needs root, for cgroups. Some 8 minutes for each variant.
#
#	limit.sh --build=DIR [OPTION...]
#
#	--service=BIN	webreport; else it is built into DIR/services
#	--only=VARIANT	glibc, arena-max-2, jemalloc, mimalloc, tcmalloc or memguard; may be repeated
#	--runs=N	default 3
#	--step=MIB	default 10
#	--from=MIB --to=MIB
#			where to look, 100 to 1200: nothing survives in the first
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
STEP=10
FROM=100
TO=1200
IDLE=3
RESULTS=

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
		--idle=*) IDLE=${option#*=} ;;
		*) usage "limit.sh: $option: no such option" ;;
		esac
	done
	variants_build
	if ((${#ONLY[@]} == 0)); then
		ONLY=("${VARIANTS[@]}")
	fi
}

# run_once VARIANT LIMIT - true when it survived all rounds.
run_once()
{
	local output

	service_start "$1" "$2"
	output=$("$SERVICES/rounds.sh" --url="$SERVICE_URL" --pid="$SERVICE_PID" \
		--cgroup="$SERVICE_GROUP" --idle="$IDLE") || true
	jq -nc --arg variant "$1" --argjson limit_mib "$2" \
		--argjson peak_mib "$(cgroup_peak_mib "$SERVICE_GROUP")" \
		--arg outcome "${output##*$'\n'}" '$ARGS.named' >>"$RESULTS"
	service_stop
	[[ ${output##*$'\n'} == survived* ]]
}

survives()
{
	local run

	for ((run = 0; run < RUNS; run++)); do
		run_once "$1" "$2" || return
	done
}

# search VARIANT - the smallest limit survived, in SMALLEST; empty: none up to --to.
search()
{
	local low=$((FROM / STEP)) high=$((TO / STEP)) middle

	SMALLEST=
	survives "$1" $((high * STEP)) || return 0
	while ((high - low > 1)); do
		middle=$(((low + high) / 2))
		if survives "$1" $((middle * STEP)); then
			high=$middle
		else
			low=$middle
		fi
	done
	SMALLEST=$((high * STEP))
}

main()
{
	local variant

	parse_options "$@"
	cleanup_at_exit
	RESULTS=$BUILD/bench-limit.jsonl
	: >"$RESULTS"
	variants_prepare
	table_head "six rounds" "smallest limit survived in $RUNS of $RUNS runs, MiB"
	for variant in "${ONLY[@]}"; do
		if variant_present "$variant"; then
			search "$variant"
			table_row "$variant" "${SMALLEST:-above $TO}"
		else
			table_row "$variant" -
		fi
	done
}

main "$@"
