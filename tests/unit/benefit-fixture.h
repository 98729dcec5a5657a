/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Outcomes of a group of 600 MiB, and what they teach. */

#include "agent/policy/benefit.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

#define SEC(x) ((x)*USEC_PER_SEC)

static const struct group_settings settings = {
	.min_release_bytes = 16 * MIB,
	.cooldown_usec = SEC(30),
};

/* One member asked, 500 MiB used before. */
static inline struct outcome released(uint64_t expected_mib, uint64_t released_mib)
{
	return (struct outcome){
		.kind = OUTCOME_RELEASED,
		.trigger = REASON_USAGE_HIGH,
		.end_usec = SEC(100),
		.n_asked = 1,
		.n_answered = 1,
		.usage_before_bytes = 500 * MIB,
		.usage_after_bytes = (500 - released_mib) * MIB,
		.expected_bytes = expected_mib * MIB,
	};
}

/* Nobody was asked. */
static inline struct outcome quiet(enum reason trigger, enum reason reason, uint64_t at_sec)
{
	return (struct outcome){
		.kind = OUTCOME_NOTHING,
		.trigger = trigger,
		.reason = reason,
		.end_usec = SEC(at_sec),
		.usage_before_bytes = 500 * MIB,
	};
}

static inline struct benefit add(struct benefit benefit, struct outcome outcome)
{
	const struct group group = {
		.settings = &settings,
		.benefit = &benefit,
		.reading = { .limit_bytes = 600 * MIB },
	};

	return benefit_add(&group, &outcome);
}
