/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One group, its members, and what is decided of them. */

#include "agent/policy/pick.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

#define NOW (1000 * USEC_PER_SEC)
#define MEMBERS_MAX 200

static struct group_settings settings;
static struct group group;
static struct member members[MEMBERS_MAX];
static const struct member *list[MEMBERS_MAX];
static struct decision decision;

static inline void reset(void)
{
	settings = (struct group_settings){
		.min_release_bytes = 16 * MIB,
		.stall_budget_usec = 10 * USEC_PER_MSEC,
	};
	group = (struct group){
		.settings = &settings,
	};
	memset(members, 0, sizeof(members));
	memset(&decision, 0xff, sizeof(decision));
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		list[i] = &members[i];
}

/* A measured member without a stall; pids are 100, 101... */
static inline struct member *add(size_t i, uint64_t retained_mib, uint64_t rss_mib)
{
	members[i] = (struct member){
		.process = {
			.pid = (pid_t)(100 + i),
			.start_time = 5000 + i,
			.rss_bytes = rss_mib * MIB,
			.state = 'S',
		},
		.hello = {
			.allocators = WIRE_ALLOCATOR_GLIBC,
			.malloc_owner = WIRE_ALLOCATOR_GLIBC,
		},
		.time_usec = NOW,
		.stats = { .flags = WIRE_STATS_HEAP | WIRE_STATS_RSS, .rss = rss_mib * MIB },
		.stats_usec = NOW - 1,
		.retained_bytes = retained_mib * MIB,
	};

	return &members[i];
}

static inline void pick(size_t n_members, enum reason trigger)
{
	pick_members(&group, list, n_members, trigger, settings.method, &decision);
}
