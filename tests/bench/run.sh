#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns the benchmarks: webreport on several allocators and under memguard. A markdown
# table for each benchmark goes to standard output, every single result as a line of JSON
# to BUILD/bench.jsonl. Needs root, for cgroups. What is missing is printed as "-".
#
#	run.sh --build=DIR [OPTION...]
#
#	--service=BIN	webreport; else it is built into DIR/services
#	--only=NAME	rounds, burst, throughput or footprint; may be repeated
#	--quick		fewer and shorter repetitions: to see that all of it runs
#
# Only ratios within one run mean something, so each benchmark measures plain glibc too.

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SERVICES=$HERE/../services
# shellcheck source=tests/bench/lib.sh
. "$HERE/lib.sh"
# shellcheck source=tests/bench/variants.sh
. "$HERE/variants.sh"

ONLY=()
QUICK=
RESULTS=

ROUNDS=6
BURSTS=(12 24)
LIMIT_MIB=600
MEMBERS=50

parse_options()
{
	local option

	for option; do
		variants_option "$option" && continue
		case $option in
		--only=rounds | --only=burst | --only=throughput | --only=footprint)
			ONLY+=("${option#*=}") ;;
		--quick) QUICK=1 ;;
		*) usage "run.sh: $option: no such option" ;;
		esac
	done
	variants_build
	if ((${#ONLY[@]} == 0)); then
		ONLY=(rounds burst throughput footprint)
	fi
}

# record BENCHMARK VARIANT KEY VALUE... - one line of JSON; values are JSON already.
record()
{
	local object

	object=$(jq -nc --arg benchmark "$1" --arg variant "$2" '$ARGS.named')
	shift 2
	while (($#)); do
		object=$(jq -c --arg key "$1" --argjson value "$2" '.[$key] = $value' <<<"$object")
		shift 2
	done
	echo "$object" >>"$RESULTS"
}

rounds_one()
{
	local output sizes outcome peak

	service_start "$1" "$LIMIT_MIB"
	output=$("$SERVICES/rounds.sh" --url="$SERVICE_URL" --pid="$SERVICE_PID" \
		--cgroup="$SERVICE_GROUP" --rounds="$ROUNDS" --idle="${QUICK:+1}") || true
	peak=$(cgroup_peak_mib "$SERVICE_GROUP")
	service_stop
	sizes=$(awk '$1 == "round" { printf "%s%s", sep, $3; sep = " " }' <<<"$output")
	outcome=${output##*$'\n'}
	record rounds "$1" limit_mib "$LIMIT_MIB" usage_mib "[${sizes// /,}]" \
		peak_mib "$peak" outcome "\"$outcome\""
	table_row "$1" "${sizes:--}" "$peak" "$outcome"
}

bench_rounds()
{
	local variant

	table_head "six rounds in $LIMIT_MIB MiB" "after each round, MiB" "peak, MiB" outcome
	for variant in "${VARIANTS[@]}"; do
		if variant_present "$variant"; then
			rounds_one "$variant"
		else
			table_row "$variant" - - -
		fi
	done
}

# heap_pages VARIANT - what the service's heaps hold: pages with something in use, only with what
# caches of threads keep, and with nothing, in MiB; of glibc alone.
heap_pages()
{
	case $1 in
	glibc | arena-max-2 | memguard) "$HERE/pages.py" "$SERVICE_PID" || echo - - - ;;
	*) echo - - - ;;
	esac
}

# burst_one REPORTS VARIANT BASE - so many at once. BASE is plain glibc's size, empty when this is
# plain glibc. The result is left in BURST_MIB.
burst_one()
{
	local output before rss ratio=100 used kept free

	service_start "$2"
	output=$("$SERVICES/rounds.sh" --url="$SERVICE_URL" --pid="$SERVICE_PID" \
		--cgroup="$SERVICE_GROUP" --burst --concurrent="$1" --idle="${QUICK:+5}") || true
	[[ $output == burst:* ]] || fail "burst on $2: $output"
	rss=$(rss_mib "$SERVICE_PID")
	read -r used kept free < <(heap_pages "$2")
	service_stop
	read -r _ before _ _ _ _ BURST_MIB _ <<<"$output"
	if [[ $3 ]]; then
		ratio=$(awk -v a="$BURST_MIB" -v b="$3" 'BEGIN { printf "%.1f", 100 * a / b }')
	fi
	record burst "$2" reports "$1" before_mib "$before" after_mib "$BURST_MIB" rss_mib "$rss" \
		percent_of_glibc "$ratio" used_mib "${used/-/null}" kept_mib "${kept/-/null}" \
		free_mib "${free/-/null}"
	table_row "$2" "$before" "$BURST_MIB" "$rss" "$ratio %" "$used" "$kept" "$free"
}

bench_burst_of()
{
	local reports=$1 variant base=

	table_head "$reports reports at once, no limit" "right after, MiB" \
		"after $((QUICK ? 5 : 15)) s idle, MiB" "RSS, MiB" "of glibc" \
		"of it in use" "in caches" "free"
	for variant in "${VARIANTS[@]}"; do
		if variant_present "$variant"; then
			burst_one "$reports" "$variant" "$base"
			base=${base:-$BURST_MIB}
		else
			table_row "$variant" - - - - - - -
		fi
	done
}

# Of the smaller one what the service keeps in use is more of what it had, and nobody can give that back.
bench_burst()
{
	local reports

	for reports in "${BURSTS[@]}"; do
		bench_burst_of "$reports"
	done
}

# microseconds TIME - wrk writes 870.00us, 2.31ms, 1.02s.
microseconds()
{
	awk -v time="$1" 'BEGIN {
		factor = time ~ /us$/ ? 1 : time ~ /ms$/ ? 1000 : 1000000
		printf "%d", time * factor
	}'
}

# throughput_one VARIANT - leaves requests a second in RATE and the 99th percentile in P99.
throughput_one()
{
	local output

	service_start "$1"
	# Arenas, caches and connections as in a service that has been running for a while.
	wrk -t1 -c16 -d1s "$SERVICE_URL/" >/dev/null
	output=$(wrk -t1 -c16 -d"$((QUICK ? 2 : 8))s" --latency "$SERVICE_URL/")
	service_stop
	RATE=$(awk '$1 == "Requests/sec:" { print $2 }' <<<"$output")
	P99=$(microseconds "$(awk '$1 == "99%" { print $2 }' <<<"$output")")
	record throughput "$1" requests_per_second "$RATE" p99_usec "$P99"
}

# bench_throughput - in turns, the first one alternating too, so that what else the
# machine does hits both alike; the ratio is taken within each pair.
bench_throughput()
{
	local variant pair order rates=() ratios=() tails=()
	local -A rate p99

	table_head "throughput of /" "glibc, requests/s" "memguard, of glibc" "p99, of glibc"
	if ! variant_present memguard; then
		table_row "median" - - -
		return
	fi
	for ((pair = 0; pair < (QUICK ? 2 : 7); pair++)); do
		order=(glibc memguard)
		if ((pair % 2)); then
			order=(memguard glibc)
		fi
		for variant in "${order[@]}"; do
			throughput_one "$variant"
			rate[$variant]=$RATE
			p99[$variant]=$P99
		done
		rates+=("${rate[glibc]}")
		ratios+=("$(awk "BEGIN { print ${rate[memguard]} / ${rate[glibc]} }")")
		tails+=("$(awk "BEGIN { print ${p99[memguard]} / ${p99[glibc]} }")")
	done
	table_row "median of ${#ratios[@]} pairs" "$(median "${rates[@]}")" \
		"$(median "${ratios[@]}")" "$(median "${tails[@]}")"
	table_row "lowest to highest" "$(spread "${rates[@]}")" "$(spread "${ratios[@]}")" \
		"$(spread "${tails[@]}")"
}

spread()
{
	printf '%s\n' "$@" | sort -g | awk 'NR == 1 { low = $1 } END { print low " to " $1 }'
}

# sockets PID - how many the process has open.
sockets()
{
	find "/proc/$1/fd" -lname 'socket:*' 2>/dev/null | wc -l
}

has_sockets()
{
	(($(sockets "$1") >= $2))
}

# members_start COUNT - small threaded programs that do nothing. They end with the input,
# so even a killed script leaves none behind.
members_start()
{
	local i

	mkfifo "$SCRATCH/members"
	exec {MEMBERS_INPUT}<>"$SCRATCH/members"
	for ((i = 0; i < $1; i++)); do
		LD_PRELOAD=$(hook) MEMGUARD_SOCKET=$GUARD_DIRECTORY/hook.sock \
			python3 "$SERVICES/threads.py" --threads=2 \
			<"$SCRATCH/members" >/dev/null 2>&1 {MEMBERS_INPUT}>&- &
		own_process "$!"
		MEMBER_PIDS+=("$!")
	done
}

members_stop()
{
	local pid

	exec {MEMBERS_INPUT}>&-
	for pid in "${MEMBER_PIDS[@]}"; do
		end_process "$pid"
	done
	rm -f "$SCRATCH/members"
}

bench_footprint()
{
	local before connected alone=() full=()

	# Clean: pages of libraries that no other process happens to map, which the kernel
	# drops when it needs them. Where systemd runs, most of them are shared.
	table_head "memguardd, private memory" "dirty, KiB" "clean file pages, KiB"
	if ! variant_present memguard; then
		table_row "$MEMBERS members" - -
		return
	fi
	MEMBER_PIDS=()
	guard_start
	sleep 1
	before=$(sockets "$GUARD_PID")
	mapfile -t alone < <(private_kib "$GUARD_PID")
	members_start "$MEMBERS"
	wait_until 30 has_sockets "$GUARD_PID" $((before + MEMBERS)) || true
	sleep 2
	connected=$(($(sockets "$GUARD_PID") - before))
	mapfile -t full < <(private_kib "$GUARD_PID")
	members_stop
	guard_stop
	record footprint memguard members "$connected" alone_dirty_kib "${alone[0]}" \
		alone_clean_kib "${alone[1]}" dirty_kib "${full[0]}" clean_kib "${full[1]}"
	table_row "no member" "${alone[@]}"
	table_row "$connected members" "${full[@]}"
}

main()
{
	local name

	parse_options "$@"
	cleanup_at_exit
	RESULTS=$BUILD/bench.jsonl
	: >"$RESULTS"
	variants_prepare
	for name in "${ONLY[@]}"; do
		"bench_$name"
	done
}

main "$@"
