/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* policy/trend: when to look again, and where the kernel is to wake us. */

#include "agent/policy/trend.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"
#include "tests/unit/trend-fixture.h"

static struct group_settings settings; /* of the last example() */

/* Of example()'s group. */
static struct benefit benefit;

/* 1000 MiB, a tenth used, everything long calm. */
static struct group example(void)
{
	benefit = (struct benefit){ 0 };
	settings = (struct group_settings){
		.usage_high_permyriad = 8000,
		.usage_critical_permyriad = 9200,
		.retained_high_bytes = 64 * MIB,
		.cooldown_usec = SEC(30),
	};
	return (struct group){
		.settings = &settings,
		.benefit = &benefit,
		.reading = {
			.time_usec = NOW,
			.anon_bytes = 100 * MIB,
			.limit_bytes = 1000 * MIB,
		},
		.trend = { .time_usec = NOW, .steady_since_usec = NOW - SEC(60) },
		.gate = { .state = GATE_CALM, .reason = REASON_BELOW },
		.n_members = 1,
	};
}

static uint64_t next(const struct group *group)
{
	return trend_next_usec(group, false, NOW);
}

static void test_the_next_reading_comes_before_the_fastest_growth_reaches_high(void)
{
	struct group g = example();

	/* 700 MiB at 2 GiB/s. */
	CHECK_EQ(next(&g), 700 * USEC_PER_SEC / 2048);
	g.reading.anon_bytes = 700 * MIB;
	CHECK_EQ(next(&g), 100 * USEC_PER_SEC / 2048);
	g.reading.anon_bytes = 799 * MIB;
	CHECK_EQ(next(&g), MSEC(10));
	g.reading.limit_bytes = 1000 * GIB;
	CHECK_EQ(next(&g), SEC(5));
}

static void test_whose_turn_may_come_is_looked_at_in_a_second(void)
{
	struct group g = example();

	g.reading.limit_bytes = 1000 * GIB;
	g.gate = (struct gate){ .state = GATE_RETAINING, .reason = REASON_OTHERS };
	CHECK_EQ(next(&g), SEC(1));
}

static void test_above_high_the_next_threshold_counts(void)
{
	struct group g = example();

	g.reading.limit_bytes = 10000 * MIB;
	g.reading.anon_bytes = 8200 * MIB;
	g.gate = (struct gate){ .state = GATE_HIGH, .reason = REASON_NOT_WORTH };
	CHECK_EQ(next(&g), 1000 * USEC_PER_SEC / 2048);

	/* Near it no more often than a decision can change anything. */
	g.reading.anon_bytes = 9199 * MIB;
	CHECK_EQ(next(&g), MSEC(50));
	g.reading.anon_bytes = 9200 * MIB;
	CHECK_EQ(next(&g), 800 * USEC_PER_SEC / 2048);

	/* Above the limit itself, as it can be for a moment, or after it was lowered. */
	g.reading.anon_bytes = 10001 * MIB;
	CHECK_EQ(next(&g), MSEC(50));
}

static void test_an_open_gate_is_looked_at_often(void)
{
	static const struct gate open[] = {
		{ .state = GATE_RETAINING, .reason = REASON_RETAINED },
		{ .state = GATE_PRESSED, .reason = REASON_PRESSURE },
		{ .state = GATE_HIGH, .reason = REASON_USAGE_HIGH },
		{ .state = GATE_CRITICAL, .reason = REASON_USAGE_CRITICAL },
	};
	struct group g = example();

	g.reading.limit_bytes = 1000 * GIB;
	for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
		g.gate = open[i];
		CHECK_EQ(next(&g), MSEC(50));
		CHECK_EQ(trend_next_usec(&g, true, NOW), MSEC(50));
	}
}

static void test_a_round_that_may_give_way_is_looked_after_near_critical(void)
{
	struct group g = example();

	g.yields = true;
	g.gate = (struct gate){ .state = GATE_HIGH, .reason = REASON_USAGE_HIGH };
	g.reading.anon_bytes = share_of(g.reading.limit_bytes, settings.usage_critical_permyriad) - MIB;
	CHECK_EQ(next(&g), MSEC(10));
	g.yields = false;
	CHECK_EQ(next(&g), MSEC(50));
	/* Far from it, no sooner than otherwise. */
	g.yields = true;
	g.reading.limit_bytes = 1000 * GIB;
	CHECK_EQ(next(&g), MSEC(50));
}

static void test_where_nobody_can_help_once_a_second_will_do(void)
{
	struct group g = example();

	g.reading.anon_bytes = 950 * MIB;
	g.gate = (struct gate){ .state = GATE_CRITICAL, .reason = REASON_NO_MEMBERS };
	CHECK_EQ(next(&g), SEC(1));
}

static void test_the_kernel_wakes_us_at_high_and_farther_up_by_what_can_be_dropped(void)
{
	struct group g = example();

	/* Below it, whatever is page cache: should usage get there the rest is seen then. */
	g.reading.usage_bytes = 300 * MIB;
	CHECK_EQ(trend_wake_bytes(&g), 800 * MIB);
	/* 150 can be dropped, and 100 are missing. */
	g.reading.usage_bytes = 850 * MIB;
	g.reading.anon_bytes = 700 * MIB;
	CHECK_EQ(trend_wake_bytes(&g), 950 * MIB);
	/* What is held does not move it: a program that is just giving back looks like that. */
	g.reading.anon_bytes = 690 * MIB;
	g.reading.held_bytes = 10 * MIB;
	CHECK_EQ(trend_wake_bytes(&g), 950 * MIB);
	g.reading.held_bytes = 150 * MIB;
	CHECK_EQ(trend_wake_bytes(&g), 800 * MIB);
	g.reading.held_bytes = 0;
	/* It has been reached: where it is left again. */
	g.reading.anon_bytes = 820 * MIB;
	CHECK_EQ(trend_wake_bytes(&g), 800 * MIB);
	/* The page cache has what is left: usage stays at the limit while memory in use grows. */
	g.reading.usage_bytes = 1000 * MIB;
	g.reading.anon_bytes = 500 * MIB;
	CHECK_EQ(trend_wake_bytes(&g), BYTES_INFINITY);
}

static void test_there_is_no_place_to_be_woken_at_without_a_threshold_or_a_limit(void)
{
	struct group g = example();

	settings.usage_high_permyriad = 0;
	CHECK_EQ(trend_wake_bytes(&g), BYTES_INFINITY);
	CHECK(!trend_is_awaited(&g, 800 * MIB));
	settings.usage_high_permyriad = 8000;
	g.reading.limit_bytes = BYTES_INFINITY;
	CHECK_EQ(trend_wake_bytes(&g), BYTES_INFINITY);
	CHECK(!trend_is_awaited(&g, 800 * MIB));
}

static void test_high_is_awaited_while_usage_gets_to_the_place_no_later(void)
{
	struct group g = example();

	g.reading.usage_bytes = 300 * MIB;
	CHECK(trend_is_awaited(&g, 800 * MIB));
	CHECK(!trend_is_awaited(&g, 0)); /* none is armed */
	/* Too far up for what counts, since some of the page cache has gone. */
	g.reading.usage_bytes = g.reading.anon_bytes = 700 * MIB;
	CHECK(trend_is_awaited(&g, 800 * MIB));
	CHECK(trend_is_awaited(&g, 801 * MIB));
	CHECK(!trend_is_awaited(&g, 802 * MIB));
	/* It was crossed, by page cache. */
	g.reading.usage_bytes = 800 * MIB;
	CHECK(!trend_is_awaited(&g, 800 * MIB));
	/* Usage never gets there. */
	CHECK(!trend_is_awaited(&g, 1000 * MIB));
}

static void test_a_kernel_event_allows_longer_pauses_below_high_only(void)
{
	struct group g = example();

	g.reading.anon_bytes = 790 * MIB;
	CHECK_EQ(trend_next_usec(&g, false, NOW), MSEC(10));
	CHECK_EQ(trend_next_usec(&g, true, NOW), MSEC(250));
	g.reading.anon_bytes = 810 * MIB;
	g.gate = (struct gate){ .state = GATE_HIGH, .reason = REASON_STALL };
	CHECK(trend_next_usec(&g, true, NOW) < MSEC(100));
}

static void test_settling_sleeps_through_what_cannot_change_anything(void)
{
	struct group g = example();

	g.gate = (struct gate){ .state = GATE_SETTLING,
				.reason = REASON_COOLDOWN,
				.until_usec = NOW + SEC(27) };

	/* 3 s after the round; critical may begin one from now on: 820 MiB away. */
	benefit.last_round_usec = NOW - SEC(3);
	CHECK_EQ(next(&g), 820 * USEC_PER_SEC / 2048);

	/* 1 s after it: nothing can for another 2 s, however near the limit. */
	benefit.last_round_usec = NOW - SEC(1);
	CHECK_EQ(next(&g), SEC(2));
	g.reading.anon_bytes = 990 * MIB;
	CHECK_EQ(next(&g), SEC(2));

	/* 5 s after it: as near as this, at once. */
	benefit.last_round_usec = NOW - SEC(5);
	CHECK_EQ(next(&g), MSEC(50));

	/* A round that seems to end in the future has just ended. */
	benefit.last_round_usec = NOW + SEC(1);
	CHECK_EQ(next(&g), SEC(3));

	/* Not longer than it lasts. */
	benefit.last_round_usec = NOW - SEC(1);
	g.gate.until_usec = NOW + MSEC(100);
	CHECK_EQ(next(&g), MSEC(100));
	g.gate.until_usec = NOW + 1;
	g.reading.anon_bytes = 100 * MIB;
	CHECK_EQ(next(&g), MSEC(10));

	/* Far from the limit, until the end, in steps of 5 s at most. */
	g.reading.limit_bytes = 1000 * GIB;
	g.gate.until_usec = NOW + SEC(3);
	CHECK_EQ(next(&g), SEC(3));
	g.gate.until_usec = UINT64_MAX;
	CHECK_EQ(next(&g), SEC(5));
}

static void test_soon_after_a_burst_retained_memory_is_looked_for(void)
{
	struct group g = example();

	g.reading.limit_bytes = BYTES_INFINITY;
	CHECK_EQ(next(&g), SEC(5));
	g.trend.steady_since_usec = NOW - SEC(9);
	CHECK_EQ(next(&g), SEC(1));
	g.trend.steady_since_usec = NOW - SEC(10);
	CHECK_EQ(next(&g), SEC(5));
	g.trend.steady_since_usec = NOW + SEC(1);
	CHECK_EQ(next(&g), SEC(1));
	settings.retained_high_bytes = 0;
	CHECK_EQ(next(&g), SEC(5));
}

static void test_what_threads_leave_after_a_large_release_is_looked_for(void)
{
	struct group g = example();

	g.reading.limit_bytes = 1000 * GIB;
	benefit.left_until_usec = NOW + 1;
	CHECK_EQ(next(&g), SEC(1));
	benefit.left_until_usec = NOW;
	CHECK_EQ(next(&g), SEC(5));
}

static void test_settling_looks_when_half_of_what_was_released_may_be_gone(void)
{
	struct group g = example();

	g.gate = (struct gate){ .state = GATE_SETTLING,
				.reason = REASON_COOLDOWN,
				.until_usec = NOW + SEC(27) };
	benefit.last_round_usec = NOW;
	benefit.last_limit_bytes = g.reading.limit_bytes;
	benefit.asked_anon_bytes = benefit.last_anon_bytes = g.reading.limit_bytes - 800 * MIB;

	g.reading.anon_bytes = benefit.last_anon_bytes;
	CHECK_EQ(next(&g), 400 * USEC_PER_SEC / 2048);
	g.reading.anon_bytes += 300 * MIB;
	CHECK_EQ(next(&g), 100 * USEC_PER_SEC / 2048);

	/* And when half of what a quiet round has left since. */
	benefit.last_anon_bytes = g.reading.anon_bytes;
	CHECK_EQ(next(&g), 100 * USEC_PER_SEC / 2048);
	g.reading.anon_bytes += 100 * MIB;
	CHECK_EQ(next(&g), 150 * USEC_PER_SEC / 2048);
}

static void test_before_the_first_reading_there_is_no_time_to_lose(void)
{
	const struct group g = { 0 };

	CHECK_EQ(next(&g), MSEC(10));
}

static void test_the_pause_is_always_within_bounds(void)
{
	struct group g = example();

	for (size_t a = 0; a < ARRAY_SIZE(extremes); a++)
		for (size_t l = 0; l < ARRAY_SIZE(extremes); l++)
			for (int state = GATE_CALM; state <= GATE_SETTLING; state++)
				for (int off = 0; off < 4; off++) {
					uint64_t pause;

					g.reading.anon_bytes = extremes[a];
					g.reading.limit_bytes = extremes[l];
					g.gate.state = (enum gate_state)state;
					g.gate.until_usec = extremes[a];
					settings.usage_high_permyriad =
						off & 1 ? 0 : 8000;
					settings.usage_critical_permyriad =
						off & 2 ? 0 : 9200;
					pause = next(&g);
					CHECK(pause >= MSEC(10));
					CHECK(pause <= SEC(5));
				}
}

int main(void)
{
	RUN(test_the_next_reading_comes_before_the_fastest_growth_reaches_high);
	RUN(test_whose_turn_may_come_is_looked_at_in_a_second);
	RUN(test_above_high_the_next_threshold_counts);
	RUN(test_an_open_gate_is_looked_at_often);
	RUN(test_a_round_that_may_give_way_is_looked_after_near_critical);
	RUN(test_where_nobody_can_help_once_a_second_will_do);
	RUN(test_the_kernel_wakes_us_at_high_and_farther_up_by_what_can_be_dropped);
	RUN(test_there_is_no_place_to_be_woken_at_without_a_threshold_or_a_limit);
	RUN(test_high_is_awaited_while_usage_gets_to_the_place_no_later);
	RUN(test_a_kernel_event_allows_longer_pauses_below_high_only);
	RUN(test_settling_sleeps_through_what_cannot_change_anything);
	RUN(test_soon_after_a_burst_retained_memory_is_looked_for);
	RUN(test_what_threads_leave_after_a_large_release_is_looked_for);
	RUN(test_settling_looks_when_half_of_what_was_released_may_be_gone);
	RUN(test_before_the_first_reading_there_is_no_time_to_lose);
	RUN(test_the_pause_is_always_within_bounds);

	return TEST_RESULT();
}
