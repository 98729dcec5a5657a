/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Growth, time to the limit, and the plan for the next reading. */

#include "agent/policy/trend.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

#define MSEC(x) ((x)*USEC_PER_MSEC)
#define SEC(x) ((x)*USEC_PER_SEC)
#define NOW SEC(1000)

static const uint64_t extremes[] = {
	0,
	1,
	MIB,
	GIB,
	UINT64_C(1) << 50,
	INT64_MAX - 1,
	INT64_MAX,
	(uint64_t)INT64_MAX + 1,
	UINT64_MAX - 1,
	UINT64_MAX,
};

static struct trend add(struct trend trend, uint64_t time_usec, uint64_t anon_bytes)
{
	const struct reading reading = {
		.time_usec = time_usec,
		.anon_bytes = anon_bytes,
		.limit_bytes = GIB,
	};

	return trend_add(&trend, &reading);
}

/* From @from to @to MiB within @sec seconds, read every 100 ms. */
static struct trend ramp(struct trend trend, uint64_t start_sec, uint64_t sec,
			 uint64_t from, uint64_t to)
{
	for (uint64_t i = 0; i <= sec * 10; i++) {
		const uint64_t up = to > from ? (to - from) * MIB * i / (sec * 10) : 0;
		const uint64_t down = to < from ? (from - to) * MIB * i / (sec * 10) : 0;

		trend = add(trend, SEC(start_sec) + MSEC(100 * i),
			    from * MIB + up - down);
	}

	return trend;
}

static void test_the_first_reading_shows_no_growth(void)
{
	struct trend t = add((struct trend){ 0 }, NOW, 500 * MIB);

	CHECK_EQ(t.growth_bytes_per_sec, 0);
	CHECK(t.eta_usec == USEC_INFINITY);
	CHECK_EQ(t.time_usec, NOW);
	CHECK_EQ(t.anon_bytes, 500 * MIB);
	CHECK_EQ(t.steady_since_usec, NOW);
}

static void test_no_reading_changes_nothing(void)
{
	const struct trend before = add((struct trend){ 0 }, NOW, 500 * MIB);
	const struct trend after = add(before, 0, 900 * MIB);

	CHECK_EQ(memcmp(&before, &after, sizeof(before)), 0);
}

static void test_even_growth_is_found(void)
{
	const struct trend t = ramp((struct trend){ 0 }, 1, 8, 100, 500);

	/* 50 MiB/s; the smoothing has forgotten the start by now. */
	CHECK(t.growth_bytes_per_sec > (int64_t)(48 * MIB));
	CHECK(t.growth_bytes_per_sec <= (int64_t)(50 * MIB));
	/* 524 MiB are left. */
	CHECK(t.eta_usec > SEC(10));
	CHECK(t.eta_usec < SEC(11));
}

static void test_smoothing_depends_on_time_not_on_the_number_of_readings(void)
{
	struct trend seldom = add((struct trend){ 0 }, NOW, 100 * MIB);
	struct trend often = seldom;

	seldom = add(seldom, NOW + SEC(1), 200 * MIB);
	for (uint64_t i = 1; i <= 100; i++)
		often = add(often, NOW + MSEC(10 * i), 100 * MIB + i * MIB);

	/* A half, and 1 - 1/e of the full rate. */
	CHECK_EQ(seldom.growth_bytes_per_sec, (int64_t)(50 * MIB));
	CHECK(often.growth_bytes_per_sec > (int64_t)(60 * MIB));
	CHECK(often.growth_bytes_per_sec < (int64_t)(66 * MIB));
}

static void test_readings_too_close_keep_the_older_value(void)
{
	struct trend t = add((struct trend){ 0 }, NOW, 100 * MIB);

	t = add(t, NOW + MSEC(5) - 1, 101 * MIB);
	CHECK_EQ(t.time_usec, NOW);
	CHECK_EQ(t.anon_bytes, 100 * MIB);
	CHECK_EQ(t.growth_bytes_per_sec, 0);

	/* So what grew meanwhile is seen by the next one. */
	t = add(t, NOW + MSEC(5), 102 * MIB);
	CHECK_EQ(t.time_usec, NOW + MSEC(5));
	CHECK(t.growth_bytes_per_sec > 0);

	/* Time does not go backwards; if it seems to, nothing is learned. */
	t = add(t, NOW - SEC(1), 900 * MIB);
	CHECK_EQ(t.time_usec, NOW + MSEC(5));
}

static void test_a_release_clears_the_time_to_the_limit_at_once(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 4, 100, 900);

	CHECK(t.eta_usec < SEC(1));
	t = add(t, t.time_usec + MSEC(10), 100 * MIB);
	CHECK(t.growth_bytes_per_sec < 0);
	CHECK(t.eta_usec == USEC_INFINITY);
}

static void test_growth_after_a_release_is_not_hidden_by_the_fall(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 4, 100, 900);

	t = add(t, t.time_usec + MSEC(10), 100 * MIB);
	t = ramp(t, 6, 1, 100, 300);
	CHECK(t.growth_bytes_per_sec > (int64_t)(100 * MIB));
	CHECK(t.eta_usec < SEC(8));
}

static void test_a_small_dip_does_not_clear_growth(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 8, 100, 500);

	t = add(t, t.time_usec + MSEC(10), 499 * MIB);
	CHECK(t.growth_bytes_per_sec > (int64_t)(40 * MIB));
}

static void test_slow_shrinking_turns_growth_negative(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 4, 100, 300);

	t = ramp(t, 6, 4, 300, 280);
	CHECK(t.growth_bytes_per_sec < 0);
	CHECK(t.eta_usec == USEC_INFINITY);
}

static void test_steady_within_four_mib_or_two_percent(void)
{
	struct trend t = add((struct trend){ 0 }, NOW, 50 * MIB);

	t = add(t, NOW + SEC(1), 54 * MIB);
	t = add(t, NOW + SEC(2), 46 * MIB);
	CHECK_EQ(t.steady_since_usec, NOW);
	t = add(t, NOW + SEC(3), 54 * MIB + 1);
	CHECK_EQ(t.steady_since_usec, NOW + SEC(3));

	t = add((struct trend){ 0 }, NOW, 1000 * MIB);
	t = add(t, NOW + SEC(1), 1020 * MIB);
	CHECK_EQ(t.steady_since_usec, NOW);
	t = add(t, NOW + SEC(2), 1021 * MIB);
	CHECK_EQ(t.steady_since_usec, NOW + SEC(2));
}

static void test_creeping_growth_is_not_steady_for_ever(void)
{
	struct trend t = add((struct trend){ 0 }, NOW, 100 * MIB);

	for (uint64_t i = 1; i <= 10; i++)
		t = add(t, NOW + SEC(i), (100 + i) * MIB);

	/* 5 MiB beyond the reference at the fifth and at the tenth. */
	CHECK_EQ(t.steady_since_usec, NOW + SEC(10));
}

static void test_no_limit_is_never_reached(void)
{
	const struct reading reading = {
		.time_usec = NOW + SEC(1),
		.anon_bytes = 800 * MIB,
		.limit_bytes = BYTES_INFINITY,
	};
	const struct trend before = add((struct trend){ 0 }, NOW, 100 * MIB);
	const struct trend after = trend_add(&before, &reading);

	CHECK(after.growth_bytes_per_sec > 0);
	CHECK(after.eta_usec == USEC_INFINITY);
}

static void test_beyond_the_limit_the_time_to_it_is_zero(void)
{
	struct trend t = add((struct trend){ 0 }, NOW, 900 * MIB);

	t = add(t, NOW + SEC(1), 1100 * MIB);
	CHECK_EQ(t.eta_usec, 0);
}

/* Run under the undefined-behaviour sanitizer this is the proof of no overflow. */
static void test_extreme_values_neither_overflow_nor_turn_the_sign(void)
{
	for (size_t a = 0; a < ARRAY_SIZE(extremes); a++)
		for (size_t b = 0; b < ARRAY_SIZE(extremes); b++)
			for (size_t l = 0; l < ARRAY_SIZE(extremes); l++)
				for (size_t d = 0; d < ARRAY_SIZE(extremes); d++) {
					const struct trend before = {
						.time_usec = 1,
						.anon_bytes = extremes[a],
						.eta_usec = USEC_INFINITY,
					};
					const struct reading reading = {
						.time_usec = extremes[d],
						.anon_bytes = extremes[b],
						.limit_bytes = extremes[l],
					};
					const struct trend t =
						trend_add(&before, &reading);

					CHECK(t.growth_bytes_per_sec >= 0 ||
					      extremes[b] < extremes[a]);
					CHECK(t.growth_bytes_per_sec <= 0 ||
					      extremes[b] > extremes[a]);
				}
}

static void test_foreign_growth_values_are_survived(void)
{
	static const int64_t growths[] = { INT64_MIN, INT64_MIN + 1, -1, 1, INT64_MAX };

	for (size_t g = 0; g < ARRAY_SIZE(growths); g++)
		for (size_t b = 0; b < ARRAY_SIZE(extremes); b++) {
			const struct trend before = {
				.time_usec = NOW,
				.anon_bytes = GIB,
				.growth_bytes_per_sec = growths[g],
			};
			const struct trend t = add(before, NOW + MSEC(5), extremes[b]);

			CHECK(t.growth_bytes_per_sec >= -(INT64_C(1) << 50));
			CHECK(t.growth_bytes_per_sec <= INT64_C(1) << 50);
		}
}

static void test_the_eta_is_exact(void)
{
	static const struct {
		uint64_t anon, eta;
		int64_t growth;
	} rows[] = {
		{ GIB - 3000, 1000000, 3000 },
		{ GIB - 1, 333333, 3 },
		{ 0, GIB * USEC_PER_SEC, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* A minute and the same value: what is left of growth is 1/61. */
		const struct trend before = {
			.time_usec = NOW,
			.anon_bytes = rows[i].anon,
			.growth_bytes_per_sec = rows[i].growth * 61,
		};

		CHECK_EQ(add(before, NOW + SEC(60), rows[i].anon).eta_usec, rows[i].eta);
	}
}

/* 1000 MiB, a tenth used, everything long calm. */
static struct group example(void)
{
	return (struct group){
		.settings = {
			.usage_high_permyriad = 8000,
			.usage_critical_permyriad = 9200,
			.retained_high_bytes = 64 * MIB,
			.cooldown_usec = SEC(30),
		},
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

static void test_where_nobody_can_help_once_a_second_will_do(void)
{
	struct group g = example();

	g.reading.anon_bytes = 950 * MIB;
	g.gate = (struct gate){ .state = GATE_CRITICAL, .reason = REASON_NO_MEMBERS };
	CHECK_EQ(next(&g), SEC(1));
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
	g.benefit.last_round_usec = NOW - SEC(3);
	CHECK_EQ(next(&g), 820 * USEC_PER_SEC / 2048);

	/* 1 s after it: nothing can for another 2 s, however near the limit. */
	g.benefit.last_round_usec = NOW - SEC(1);
	CHECK_EQ(next(&g), SEC(2));
	g.reading.anon_bytes = 990 * MIB;
	CHECK_EQ(next(&g), SEC(2));

	/* 5 s after it: as near as this, at once. */
	g.benefit.last_round_usec = NOW - SEC(5);
	CHECK_EQ(next(&g), MSEC(50));

	/* A round that seems to end in the future has just ended. */
	g.benefit.last_round_usec = NOW + SEC(1);
	CHECK_EQ(next(&g), SEC(3));

	/* Not longer than it lasts. */
	g.benefit.last_round_usec = NOW - SEC(1);
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
	g.settings.retained_high_bytes = 0;
	CHECK_EQ(next(&g), SEC(5));
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
					g.settings.usage_high_permyriad =
						off & 1 ? 0 : 8000;
					g.settings.usage_critical_permyriad =
						off & 2 ? 0 : 9200;
					pause = next(&g);
					CHECK(pause >= MSEC(10));
					CHECK(pause <= SEC(5));
				}
}

int main(void)
{
	RUN(test_the_first_reading_shows_no_growth);
	RUN(test_no_reading_changes_nothing);
	RUN(test_even_growth_is_found);
	RUN(test_smoothing_depends_on_time_not_on_the_number_of_readings);
	RUN(test_readings_too_close_keep_the_older_value);
	RUN(test_a_release_clears_the_time_to_the_limit_at_once);
	RUN(test_growth_after_a_release_is_not_hidden_by_the_fall);
	RUN(test_a_small_dip_does_not_clear_growth);
	RUN(test_slow_shrinking_turns_growth_negative);
	RUN(test_steady_within_four_mib_or_two_percent);
	RUN(test_creeping_growth_is_not_steady_for_ever);
	RUN(test_no_limit_is_never_reached);
	RUN(test_beyond_the_limit_the_time_to_it_is_zero);
	RUN(test_extreme_values_neither_overflow_nor_turn_the_sign);
	RUN(test_foreign_growth_values_are_survived);
	RUN(test_the_eta_is_exact);
	RUN(test_the_next_reading_comes_before_the_fastest_growth_reaches_high);
	RUN(test_above_high_the_next_threshold_counts);
	RUN(test_an_open_gate_is_looked_at_often);
	RUN(test_where_nobody_can_help_once_a_second_will_do);
	RUN(test_a_kernel_event_allows_longer_pauses_below_high_only);
	RUN(test_settling_sleeps_through_what_cannot_change_anything);
	RUN(test_soon_after_a_burst_retained_memory_is_looked_for);
	RUN(test_before_the_first_reading_there_is_no_time_to_lose);
	RUN(test_the_pause_is_always_within_bounds);

	return TEST_RESULT();
}
