#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the measurement of what requests feel of a release: webreport makes a burst of reports,
# and in the seconds after it, in which memguardd takes back what they have left, is asked for
# a small page at a fixed rate. Plain glibc, and memguard by each method, in turns; a markdown
# table, every window as a line of JSON to BUILD/bench-requests.jsonl. Needs root, for cgroups.
#
#	requests.sh --build=DIR [OPTION...]
#
#	--service=BIN	webreport; else it is built into DIR/services
#	--turns=N	of all variants, default 5: about a minute each
#	--rate=N	requests a second, default 500
#	--seconds=N	of a window, default 6

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SERVICES=$HERE/../services
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"
# shellcheck source=tests/bench/variants.sh
. "$HERE/variants.sh"

TURNS=5
RATE=500
SECONDS_EACH=6
WINDOWS=2
RESULTS=

parse_options()
{
	local option

	for option; do
		variants_option "$option" && continue
		case $option in
		--turns=*) TURNS=${option#*=} ;;
		--rate=*) RATE=${option#*=} ;;
		--seconds=*) SECONDS_EACH=${option#*=} ;;
		*) usage "requests.sh: $option: no such option" ;;
		esac
	done
	variants_build
}

guard_ctl()
{
	"$BUILD/memguardctl" --runtime-directory="$GUARD_DIRECTORY" --json=short "$@"
}

# released_mib - by the daemon, so far.
released_mib()
{
	if [[ $GUARD_PID ]]; then
		guard_ctl status | jq '(.released_bytes // 0) / 1048576 | floor'
	else
		echo 0
	fi
}

burst()
{
	"$SERVICES/rounds.sh" --url="$SERVICE_URL" --pid="$SERVICE_PID" \
		--cgroup="$SERVICE_GROUP" --burst --idle=0 >/dev/null
}

# window NAME - the latencies after one burst, added to those of NAME; and what was released.
window()
{
	local before released file=$SCRATCH/window

	before=$(released_mib)
	burst
	"$BUILD/tests/bench/paced" "${SERVICE_URL##*:}" "$RATE" "$SECONDS_EACH" >"$file"
	released=$(($(released_mib) - before))
	cat "$file" >>"$SCRATCH/$1"
	echo "$released" >>"$SCRATCH/$1.released"
	jq -nc --arg variant "$1" --argjson released_mib "$released" \
		--argjson p99_usec "$(percentile 99 "$file")" \
		--argjson max_usec "$(percentile 100 "$file")" '$ARGS.named' >>"$RESULTS"
}

# percentile P FILE
percentile()
{
	sort -n "$2" | awk -v p="$1" '{ at[NR] = $1 }
		END { i = int((NR * p + 99) / 100); print at[i < 1 ? 1 : i] }'
}

# turn NAME VARIANT [METHOD]
turn()
{
	local i

	GUARD_SETTINGS=${3:+"[Trim]\nMethod=$3\n"}
	service_start "$2"
	for ((i = 0; i < WINDOWS; i++)); do
		window "$1"
	done
	service_stop
}

row()
{
	local name=$1 file=$SCRATCH/$1 p99 base

	p99=$(percentile 99 "$file")
	base=$(percentile 99 "$SCRATCH/glibc")
	table_row "$name" "$(wc -l <"$file")" "$(median_of "$file.released")" \
		"$(percentile 50 "$file")" "$p99" "$(awk "BEGIN { printf \"%.2f\", $p99 / $base }")" \
		"$(percentile 100 "$file")"
}

median_of()
{
	percentile 50 "$1"
}

main()
{
	local i

	parse_options "$@"
	cleanup_at_exit
	RESULTS=$BUILD/bench-requests.jsonl
	: >"$RESULTS"
	variants_prepare
	[[ -x $BUILD/tests/bench/paced ]] ||
		fail "no $BUILD/tests/bench/paced; run make tests/bench/paced there"
	for ((i = 0; i < TURNS; i++)); do
		turn glibc glibc
		turn memguard memguard
		turn memguard-full memguard full
	done
	table_head "in the $SECONDS_EACH s after a burst" requests "released, MiB" "p50, us" \
		"p99, us" "of glibc" "longest, us"
	row glibc
	row memguard
	row memguard-full
}

main "$@"
