/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A group whose figures can be changed, and the diagnosis of it. */

#include "agent/policy/verdict.h"

#include "agent/basic/macro.h"
#include "agent/policy/estimate.h"
#include "tests/unit/test.h"

static struct diagnosis d;
static struct group_settings settings; /* of the last group_of(), as those below */
static struct benefit benefit;
static struct sums sums;

static inline const char *name(const struct group *group)
{
	verdict_group(group, &sums, 10, &d);
	return verdict_to_string(d.verdict);
}

/* 1000 MiB of 2000; memory in use, nothing special. */
static inline struct group group_of(uint64_t in_use_mib, uint64_t retained_mib,
			     uint64_t unused_mib)
{
	benefit = (struct benefit){ 0 };
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
