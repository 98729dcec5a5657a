/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A group whose figures can be changed, and what the gate says of it. */

#include "agent/policy/gate.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

#define SEC(x) ((x)*USEC_PER_SEC)
#define NOW SEC(1000)

static const struct signals none;
static struct group_settings settings; /* of the last example(), as the next */
static struct benefit benefit;

/* A group of 1000 MiB, half used, steady, nothing retained, no round so far. */
static inline struct group example(void)
{
	benefit = (struct benefit){ 0 };
	settings = (struct group_settings){
		.usage_high_permyriad = 8000,
		.usage_critical_permyriad = 9200,
		.pressure_some_permyriad = 1000,
		.machine_pressure_permyriad = 1000,
		.oom_eta_usec = SEC(10),
		.retained_high_bytes = 200 * MIB,
		.min_release_bytes = 32 * MIB,
		.cooldown_usec = SEC(20),
	};
	return (struct group){
		.settings = &settings,
		.benefit = &benefit,
		.reading = {
			.time_usec = NOW,
			.anon_bytes = 500 * MIB,
			.limit_bytes = 1000 * MIB,
		},
		.trend = {
			.time_usec = NOW,
			.eta_usec = USEC_INFINITY,
			.steady_since_usec = NOW - SEC(60),
		},
		.heap = { .time_usec = NOW },
		.n_members = 1,
	};
}

static inline struct gate step(const struct group *group)
{
	return gate_step(group, &none, NOW);
}
