/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A group whose figures can be changed, a process, and the diagnosis of either. */

#include "agent/policy/verdict.h"

#include "agent/basic/macro.h"
#include "agent/policy/estimate.h"
#include "tests/unit/test.h"

static struct diagnosis d;
static struct group_settings settings; /* of the last group_of(), as those below */
static struct benefit benefit;
static struct sums sums;
static struct alert_memory alerts;

/* So long after what happens in the first microseconds that nothing of it is on its way any more. */
#define NOW_USEC (10 * USEC_PER_SEC)

static inline const char *name(const struct group *group)
{
	verdict_group(group, &sums, &alerts, NOW_USEC, &d);
	return verdict_to_string(d.verdict);
}

/* 1000 MiB of 2000; memory in use, nothing special. */
static inline struct group group_of(uint64_t in_use_mib, uint64_t retained_mib,
			     uint64_t unused_mib)
{
	benefit = (struct benefit){ 0 };
	alerts = (struct alert_memory){ 0 };
	sums = (struct sums){
		.heap = {
			.retained_bytes = retained_mib * MIB,
			.rss_bytes = 1000 * MIB,
			.time_usec = 10,
		},
		.use = {
			.in_use_bytes = in_use_mib * MIB,
			.unused_bytes = unused_mib * MIB,
		},
	};
	settings = (struct group_settings){ .usage_high_permyriad = 8000 };
	return (struct group){
		.settings = &settings,
		.benefit = &benefit,
		.reading = {
			.time_usec = 10,
			.anon_bytes = 1000 * MIB,
			.limit_bytes = 2000 * MIB,
		},
	};
}

static const struct group_settings all_off __attribute__((unused));

static inline bool has_fact(enum fact fact, uint64_t value)
{
	for (uint32_t i = 0; i < d.n_evidence; i++)
		if (d.evidence[i].fact == fact && d.evidence[i].value == value)
			return true;

	return false;
}

static inline bool has_advice(enum advice advice)
{
	for (uint32_t i = 0; i < d.n_advice; i++)
		if (d.advice[i] == advice)
			return true;

	return false;
}

/* A process on glibc that holds @in_use of a heap of @heap MiB, all of it resident. */
static inline struct member process_of(uint64_t anon_mib, uint64_t heap_mib, uint64_t in_use_mib,
				uint64_t retained_mib)
{
	return (struct member){
		.process = { .pid = 7, .rss_bytes = (anon_mib + 10) * MIB,
			     .anon_bytes = anon_mib * MIB, .n_threads = 4 },
		.hello = { .allocators = WIRE_ALLOCATOR_GLIBC,
			   .malloc_owner = WIRE_ALLOCATOR_GLIBC },
		.stats = { .flags = WIRE_STATS_HEAP | WIRE_STATS_RSS,
			   .heap_rss = heap_mib * MIB, .system = heap_mib * MIB,
			   .in_use = in_use_mib * MIB,
			   .n_arenas = 2 },
		.stats_usec = 5,
		.retained_bytes = retained_mib * MIB,
	};
}
