/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a large release leaves: how little of it is asked for, for how long, and how often. */

#include "agent/policy/benefit.h"

#include "agent/basic/macro.h"
#include "agent/policy/gate.h"
#include "tests/unit/test.h"

#define SEC(x) ((x)*USEC_PER_SEC)
#define NOW SEC(1000)

static struct group_settings settings; /* of the last example() */
static struct benefit benefit; /* of the last example() */

/* Steady, holds 100 MiB, and has given so much in a round that ended 10 s ago. */
static struct group example(enum reason trigger, uint64_t released_mib)
{
	const struct outcome outcome = {
		.kind = OUTCOME_RELEASED,
		.trigger = trigger,
		.end_usec = NOW - SEC(10),
		.n_asked = 1,
		.n_answered = 1,
		.usage_before_bytes = (100 + released_mib) * MIB,
		.usage_after_bytes = 100 * MIB,
	};
	struct group group = {
		.settings = &settings,
		.benefit = &benefit,
		.reading = { .time_usec = NOW - SEC(10), .limit_bytes = BYTES_INFINITY },
		.trend = { .time_usec = NOW, .eta_usec = USEC_INFINITY },
		.heap = { .time_usec = NOW, .rss_bytes = 100 * MIB },
		.n_members = 1,
	};

	benefit = (struct benefit){ 0 };
	settings = (struct group_settings){
		.retained_high_bytes = 64 * MIB,
		.min_release_bytes = 16 * MIB,
		.cooldown_usec = SEC(5),
	};
	benefit = benefit_add(&group, &outcome);
	group.reading.time_usec = NOW;
	return group;
}

static void test_after_a_large_release_a_quarter_of_the_least_is_enough(void)
{
	struct group group = example(REASON_RETAINED, 800);

	CHECK_EQ(benefit_least_bytes(&group, REASON_LEFT), 4 * MIB);
	CHECK_EQ(benefit_least_bytes(&group, REASON_RETAINED), 4 * MIB);
	CHECK_EQ(benefit_least_bytes(&group, REASON_USAGE_HIGH), 16 * MIB);
	CHECK_EQ(benefit_least_bytes(&group, REASON_COMMAND), 16 * MIB);

	settings.min_release_bytes = 0;
	CHECK_EQ(benefit_least_bytes(&group, REASON_LEFT), 1);
	CHECK_EQ(benefit_least_bytes(&group, REASON_USAGE_HIGH), 1);
}

static void test_it_calls_for_a_release_where_it_is_a_part_of_what_is_held(void)
{
	struct group group = example(REASON_RETAINED, 800);

	CHECK_EQ(benefit_calm_bytes(&group), 100 * MIB / 16);
	group.heap.rss_bytes = 40 * MIB;
	CHECK_EQ(benefit_calm_bytes(&group), 4 * MIB);
	group.heap.rss_bytes = 100 * GIB;
	CHECK_EQ(benefit_calm_bytes(&group), 64 * MIB);
	settings.retained_high_bytes = 0;
	CHECK(benefit_calm_bytes(&group) == BYTES_INFINITY);
}

static void test_only_for_a_minute(void)
{
	struct group group = example(REASON_RETAINED, 800);

	group.reading.time_usec = NOW + SEC(50) - 1;
	CHECK_EQ(benefit_calm_bytes(&group), 100 * MIB / 16);
	group.reading.time_usec++;
	CHECK_EQ(benefit_calm_bytes(&group), 64 * MIB);
	CHECK_EQ(benefit_least_bytes(&group, REASON_LEFT), 16 * MIB);
}

static void test_only_once_and_without_back_off(void)
{
	struct group group = example(REASON_RETAINED, 800);
	const struct outcome outcome = {
		.kind = OUTCOME_RELEASED,
		.trigger = REASON_LEFT,
		.end_usec = NOW,
		.n_asked = 1,
		.n_answered = 1,
		.usage_before_bytes = 100 * MIB,
		.usage_after_bytes = 94 * MIB,
		.expected_bytes = 7 * MIB,
	};

	benefit = benefit_add(&group, &outcome);
	CHECK_EQ(benefit.backoff_usec, 0);
	CHECK_EQ(benefit_calm_bytes(&group), 64 * MIB);

	/* The same without a large release before it. */
	benefit = benefit_add(&group, &outcome);
	CHECK_EQ(benefit.backoff_usec, SEC(5));
}

static void test_not_after_a_small_release_or_a_command(void)
{
	struct group group = example(REASON_RETAINED, 63);

	CHECK_EQ(benefit_calm_bytes(&group), 64 * MIB);
	group = example(REASON_COMMAND, 800);
	CHECK_EQ(benefit_calm_bytes(&group), 64 * MIB);
	group = example(REASON_USAGE_HIGH, 64);
	CHECK_EQ(benefit_calm_bytes(&group), 100 * MIB / 16);
}

static void test_the_gate_opens_for_it_when_all_is_steady(void)
{
	static const struct signals none;
	struct group group = example(REASON_RETAINED, 800);

	group.heap.retained_bytes = 100 * MIB / 16 - 1;
	CHECK_EQ(gate_step(&group, &none, NOW).reason, REASON_BELOW);
	group.heap.retained_bytes++;
	CHECK_EQ(gate_step(&group, &none, NOW).reason, REASON_LEFT);
	CHECK_EQ(gate_step(&group, &none, NOW).state, GATE_RETAINING);
	group.trend.steady_since_usec = NOW - SEC(1);
	CHECK_EQ(gate_step(&group, &none, NOW).reason, REASON_BELOW);
	group.trend.steady_since_usec = 0;
	benefit.left_until_usec = 0;
	CHECK_EQ(gate_step(&group, &none, NOW).reason, REASON_BELOW);
}

static void test_what_is_enough_by_itself_is_not_called_left(void)
{
	static const struct signals none;
	struct group group = example(REASON_RETAINED, 800);

	group.heap.retained_bytes = 64 * MIB - 1;
	CHECK_EQ(gate_step(&group, &none, NOW).reason, REASON_LEFT);
	group.heap.retained_bytes++;
	CHECK_EQ(gate_step(&group, &none, NOW).reason, REASON_RETAINED);
	/* What a reload has switched off is off. */
	settings.retained_high_bytes = 0;
	CHECK_EQ(gate_step(&group, &none, NOW).reason, REASON_BELOW);
}

int main(void)
{
	RUN(test_after_a_large_release_a_quarter_of_the_least_is_enough);
	RUN(test_it_calls_for_a_release_where_it_is_a_part_of_what_is_held);
	RUN(test_only_for_a_minute);
	RUN(test_only_once_and_without_back_off);
	RUN(test_not_after_a_small_release_or_a_command);
	RUN(test_the_gate_opens_for_it_when_all_is_steady);
	RUN(test_what_is_enough_by_itself_is_not_called_left);

	return TEST_RESULT();
}
