/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A group for the tests of policy/warn, and what is told of it. */

#include "agent/basic/macro.h"
#include "agent/policy/climb.h"
#include "agent/policy/trend.h"
#include "agent/policy/warn.h"
#include "tests/unit/test.h"

#define T0 (1000 * USEC_PER_SEC)

static struct group group;
static struct group_settings settings;
static struct alert_memory memory;
static unsigned int n_told[ALERT_MAX_];
static uint64_t first_usec[ALERT_MAX_];
static uint64_t n_oom_kills, n_oom_new, n_held_back;
static int64_t told_growth; /* with the last near kill */

static void begin(uint64_t limit_bytes)
{
	settings = (struct group_settings){
		.usage_high_permyriad = 8000,
		.usage_critical_permyriad = 9200,
		.cooldown_usec = 10 * USEC_PER_SEC,
	};
	group = (struct group){
		.n_members = 1,
		.settings = &settings,
		.reading.limit_bytes = limit_bytes,
		.trend.eta_usec = USEC_INFINITY,
	};
	memory = (struct alert_memory){ 0 };
	memset(n_told, 0, sizeof(n_told));
	memset(first_usec, 0, sizeof(first_usec));
}

/* What core does with a reading. */
static uint32_t look(uint64_t now_usec, uint64_t anon_bytes)
{
	struct warn warn;

	if (group.reading.time_usec == 0)
		group.first_oom_kill = group.reading.n_oom_kill;
	group.reading.time_usec = now_usec;
	group.reading.usage_bytes = group.reading.anon_bytes = anon_bytes;
	group.trend = trend_add(&group.trend, &group.reading);
	warn = warn_step(&memory, &group, now_usec);
	memory = warn.memory;
	group.climbs = climb_is_followed(&memory.climb);
	n_oom_new = warn.n_oom_new;
	for (int kind = 0; kind < ALERT_MAX_; kind++) {
		if (!(warn.due & 1U << kind))
			continue;
		if (n_told[kind]++ == 0)
			first_usec[kind] = now_usec;
		n_held_back = warn.n_held_back[kind];
	}
	/* Whatever it is known by, it can be told when. */
	if (warn.due & 1U << ALERT_KILL_NEAR) {
		told_growth = warn.growth_bytes_per_sec;
		CHECK(told_growth > 0);
		CHECK(warn.eta_usec <= 2 * WARN_KILL_NEAR_USEC);
	}
	if (warn.due & 1U << ALERT_OOM_KILL)
		n_oom_kills = warn.n_oom_kills;
	return warn.due;
}
