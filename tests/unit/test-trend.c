/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* policy/trend: growth, and the time to the limit. */

#include "agent/policy/trend.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"
#include "tests/unit/trend-fixture.h"

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

/* 2 MiB a second, told in steps: the time to the limit does not jump with them. */
static void test_slow_growth_in_steps_is_even_growth(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 8, 860, 876);

	for (uint64_t i = 1; i <= 40; i++) {
		const uint64_t steps = i / 3;
		uint64_t due_sec;

		t = add(t, SEC(9) + MSEC(500 * i), (876 + 3 * steps) * MIB);
		due_sec = (1024 - 876 - 3 * steps) / 2;
		if (i < 10)
			continue;
		CHECK(t.eta_usec > SEC(due_sec) / 5 * 3);
		CHECK(t.eta_usec < SEC(due_sec) / 5 * 7);
	}
}

/* A program that suddenly takes much is believed as fast as one that begins to. */
static void test_a_jump_of_growth_is_not_smoothed_for_long(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 20, 100, 120);

	t = ramp(t, 21, 2, 120, 720);
	CHECK(t.eta_usec < SEC(2));
}

static void test_smoothing_depends_on_time_not_on_the_number_of_readings(void)
{
	struct trend seldom = add((struct trend){ 0 }, NOW, 700 * MIB);
	struct trend often = seldom;

	seldom = add(seldom, NOW + SEC(1), 800 * MIB);
	for (uint64_t i = 1; i <= 100; i++)
		often = add(often, NOW + MSEC(10 * i), 700 * MIB + i * MIB);

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

/* Read once a second, as trend_next_usec() has it for a while after a burst. */
static void test_growth_that_is_over_is_no_growth_soon(void)
{
	static const uint64_t bursts_mib[] = { 3, 40, 200, 600 };

	for (size_t i = 0; i < ARRAY_SIZE(bursts_mib); i++) {
		struct trend t = ramp((struct trend){ 0 }, 1, 2, 100, 100 + bursts_mib[i]);

		CHECK(t.growth_bytes_per_sec > 0);
		for (uint64_t sec = 4; sec < 16; sec++)
			t = add(t, SEC(sec), (100 + bursts_mib[i]) * MIB);
		for (uint64_t sec = 16; sec < 60; sec++) {
			t = add(t, SEC(sec), (100 + bursts_mib[i]) * MIB);
			CHECK(t.growth_bytes_per_sec < 256);
			CHECK(t.eta_usec > SEC(24 * 3600));
		}
	}
}

/* What comes every three seconds is not over in between; nor is what comes back more than it is. */
static void test_growth_in_steps_is_not_over_between_them(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 8, 100, 116);

	for (uint64_t sec = 10; sec < 70; sec++) {
		t = add(t, SEC(sec), (116 + 6 * (sec / 3)) * MIB);
		CHECK(t.growth_bytes_per_sec > (int64_t)MIB / 2);
	}

	for (uint64_t sec = 70; sec < 80; sec++)
		t = add(t, SEC(sec), 256 * MIB);
	CHECK(t.growth_bytes_per_sec < 256);
	t = add(t, SEC(80), 266 * MIB);
	CHECK(t.growth_bytes_per_sec > (int64_t)MIB);
	CHECK(t.growth_bytes_per_sec < (int64_t)(3 * MIB));
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

static void test_a_fall_is_over_when_it_falls_no_more(void)
{
	struct trend t = ramp((struct trend){ 0 }, 1, 4, 100, 300);

	t = add(t, t.time_usec + MSEC(100), 100 * MIB);
	CHECK(t.growth_bytes_per_sec < -(int64_t)GIB);
	t = add(t, t.time_usec + MSEC(100), 100 * MIB);
	CHECK_EQ(t.growth_bytes_per_sec, 0);
	CHECK_EQ(t.brief_bytes_per_sec, 0);
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
			.brief_bytes_per_sec = rows[i].growth * 61,
		};

		CHECK_EQ(add(before, NOW + SEC(60), rows[i].anon).eta_usec, rows[i].eta);
	}
}

int main(void)
{
	RUN(test_the_first_reading_shows_no_growth);
	RUN(test_no_reading_changes_nothing);
	RUN(test_even_growth_is_found);
	RUN(test_slow_growth_in_steps_is_even_growth);
	RUN(test_a_jump_of_growth_is_not_smoothed_for_long);
	RUN(test_smoothing_depends_on_time_not_on_the_number_of_readings);
	RUN(test_readings_too_close_keep_the_older_value);
	RUN(test_growth_that_is_over_is_no_growth_soon);
	RUN(test_growth_in_steps_is_not_over_between_them);
	RUN(test_a_release_clears_the_time_to_the_limit_at_once);
	RUN(test_growth_after_a_release_is_not_hidden_by_the_fall);
	RUN(test_a_small_dip_does_not_clear_growth);
	RUN(test_slow_shrinking_turns_growth_negative);
	RUN(test_a_fall_is_over_when_it_falls_no_more);
	RUN(test_steady_within_four_mib_or_two_percent);
	RUN(test_creeping_growth_is_not_steady_for_ever);
	RUN(test_no_limit_is_never_reached);
	RUN(test_beyond_the_limit_the_time_to_it_is_zero);
	RUN(test_extreme_values_neither_overflow_nor_turn_the_sign);
	RUN(test_foreign_growth_values_are_survived);
	RUN(test_the_eta_is_exact);

	return TEST_RESULT();
}
