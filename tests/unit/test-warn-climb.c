/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Alerts of a near kill where growth comes in steps, or under a sawtooth; and where there is none. */

#include "tests/unit/warn-fixture.h"

#define LIMIT (200 * MIB)
/* Far from a threshold of it looks are as rare as they get. */
#define LARGE_LIMIT (40 * GIB)
#define PERIOD_MAX_MSEC 20000
#define DAY_SEC UINT64_C(86400)

/* A ramp from @low to @high permyriad of the limit, again and again, on what has leaked by then. */
struct teeth {
	uint64_t low, high, period_msec, leak_permyriad_per_sec;
	uint64_t step_msec; /* it goes in such steps */
	bool falls_slowly;  /* as it rises */
};

static uint64_t usage_of(const struct teeth *teeth, uint64_t msec)
{
	const uint64_t even_msec = msec / teeth->step_msec * teeth->step_msec;
	const uint64_t in_msec = even_msec % teeth->period_msec, half_msec = teeth->period_msec / 2;
	const uint64_t up_msec = !teeth->falls_slowly ? in_msec
				 : in_msec < half_msec ? 2 * in_msec
						       : 2 * (teeth->period_msec - in_msec);

	return teeth->low + (teeth->high - teeth->low) * up_msec / teeth->period_msec +
	       teeth->leak_permyriad_per_sec * even_msec / 1000;
}

/* Looked at as often as trend_next_usec() says; steady before. Until which it lived, at most @end_sec. */
static uint64_t live(const struct teeth *teeth, uint64_t end_sec)
{
	uint64_t now_usec = T0 - 20 * USEC_PER_SEC, usage = usage_of(teeth, 0);

	while (now_usec < T0 + end_sec * USEC_PER_SEC) {
		if (now_usec > T0)
			usage = usage_of(teeth, (now_usec - T0) / USEC_PER_MSEC);
		if (usage > PERMYRIAD)
			break;
		look(now_usec, share_of(group.reading.limit_bytes, usage));
		now_usec += trend_next_usec(&group, false, now_usec);
	}

	return now_usec;
}

static bool is_told_before(uint64_t kill_usec, uint64_t sec)
{
	return n_told[ALERT_KILL_NEAR] > 0 &&
	       kill_usec - first_usec[ALERT_KILL_NEAR] >= sec * USEC_PER_SEC;
}

static bool is_told_in_time(uint64_t kill_usec)
{
	return is_told_before(kill_usec, 30);
}

/* Was it three steps, from a quarter of the limit on, and 8 s to see that they last, before those 30 s? */
static bool is_growth_by_then(const struct teeth *steps)
{
	const uint64_t n = (PERMYRIAD - steps->low) * 1000 /
			   (steps->leak_permyriad_per_sec * steps->step_msec);
	unsigned int n_seen = 0;

	for (uint64_t i = 1; (n + 1 - i) * steps->step_msec >= 38 * 1000 && i <= n; i++)
		n_seen += usage_of(steps, i * steps->step_msec) >= 2500;

	return n_seen >= 3;
}

static void check_growth_in_steps(uint64_t limit_bytes, uint64_t least_sec, unsigned int n_max)
{
	unsigned int n = 0;

	for (uint64_t rate = 25; rate <= 100; rate *= 2)
		for (uint64_t from = 500; from <= 3300; from += 700)
			for (uint64_t step_msec = 1000; step_msec <= PERIOD_MAX_MSEC;
			     step_msec += 1000) {
				const struct teeth steps = { from, from, 1000, rate, step_msec, false };

				if (!is_growth_by_then(&steps))
					continue;
				n++;
				begin(limit_bytes);
				CHECK(is_told_before(live(&steps, 1000), least_sec));
				CHECK(n_told[ALERT_KILL_NEAR] <= n_max);
			}

	/* Of 300: the others are of 14 % of the limit and more. */
	CHECK(n >= 280);
}

static void test_growth_in_steps_is_told_30_seconds_before(void)
{
	check_growth_in_steps(LIMIT, 30, 1);
	/* The first one is seen up to 5 s late. */
	check_growth_in_steps(LARGE_LIMIT, 29, 2);
}

static void test_a_leak_under_teeth_is_told_with_the_growth_of_the_leak(void)
{
	/* 1 % of the limit a second, and in a tooth ten times as fast. */
	const struct teeth teeth = { 2000, 4000, 2000, 100, 100, false };

	begin(LIMIT);
	CHECK(is_told_in_time(live(&teeth, 1000)));
	CHECK(told_growth > 0 && (uint64_t)told_growth <= 2 * share_of(LIMIT, 100));
}

static void test_one_step_and_steps_that_are_over_are_no_growth(void)
{
	for (uint64_t step_msec = 4000; step_msec <= PERIOD_MAX_MSEC; step_msec += 1000) {
		const struct teeth steps = { 3000, 3000, 1000, 50, step_msec, false };
		uint64_t now_usec, usage;

		begin(LIMIT);
		now_usec = live(&steps, step_msec / 1000 + 1);
		CHECK_EQ(n_told[ALERT_KILL_NEAR], 0);

		/* Told or not, after a while it is not so any more. */
		begin(LIMIT);
		now_usec = live(&steps, 4 * step_msec / 1000);
		usage = share_of(LIMIT, usage_of(&steps, 4 * step_msec));
		for (uint64_t i = 0; i < 120; i++)
			look(now_usec + i * USEC_PER_SEC, usage);
		CHECK_EQ(memory.kinds[ALERT_KILL_NEAR].since_usec, 0);
		/* Nor is it looked at each second for ever. */
		CHECK(!group.climbs);
	}
}

static void test_what_comes_back_is_no_news_for_a_day(void)
{
	static const uint64_t tops[][2] = { { 2000, 4000 }, { 1000, 6000 }, { 2000, 9000 } };
	static const uint64_t periods_sec[] = { 3, 20, 90 };

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++)
		for (size_t j = 0; j < 2 * ARRAY_SIZE(periods_sec); j++) {
			const struct teeth teeth = { tops[i][0], tops[i][1],
						     periods_sec[j / 2] * 1000, 0, 10, j % 2 };

			begin(LIMIT);
			live(&teeth, DAY_SEC);
			CHECK(n_told[ALERT_KILL_NEAR] <= 4);
			begin(LARGE_LIMIT);
			live(&teeth, DAY_SEC);
			CHECK(n_told[ALERT_KILL_NEAR] <= 4);
		}
}

static void test_a_leak_under_teeth_is_told(void)
{
	for (uint64_t leak = 20; leak <= 100; leak *= 2)
		for (uint64_t period_sec = 1; period_sec <= 30; period_sec++)
			for (int slow = 0; slow < 2; slow++) {
				const struct teeth teeth = { 2000, 4000, period_sec * 1000,
							     leak, 10,   slow };

				begin(LIMIT);
				CHECK(is_told_in_time(live(&teeth, 1000)));
				/* Teeth as long as the looks are apart do not show until one falls elsewhere. */
				begin(LARGE_LIMIT);
				CHECK(is_told_before(live(&teeth, 1000), period_sec == 5 || period_sec == 6 ? 15 : 30));
			}
}

/*
 * Each tooth is a little higher than the one before: three alerts, and then of the last eight or so. The
 * kill is not without one that was early enough, and not long ago.
 */
static void test_a_slow_leak_under_large_teeth_makes_no_storm(void)
{
	for (uint64_t leak = 1; leak <= 16; leak *= 4)
		for (uint64_t period_sec = 10; period_sec <= 90; period_sec *= 3)
			for (uint64_t high = 3000; high <= 6000; high += 1500)
				for (int slow = 0; slow < 2; slow++) {
					const struct teeth teeth = { 1000, high, period_sec * 1000,
								     leak, 10,	 slow };
					uint64_t kill_usec, life_sec;

					begin(LIMIT);
					kill_usec = live(&teeth, 20000);
					CHECK(n_told[ALERT_KILL_NEAR] <= 12);
					life_sec = (kill_usec - T0) / USEC_PER_SEC;
					begin(LIMIT);
					live(&teeth, life_sec - 30);
					CHECK(n_told[ALERT_KILL_NEAR] > 0);
					CHECK(kill_usec - memory.kinds[ALERT_KILL_NEAR].told_usec <=
					      (30 + 10 * period_sec) * USEC_PER_SEC);
				}
}

/* Where there is room for it: a seventh of the limit and up to nearly a fifth, in less than five seconds. */
static void test_a_program_that_starts_beside_another_is_no_kill(void)
{
	static const uint64_t limits[] = { LIMIT, 2 * GIB, LARGE_LIMIT };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		for (uint64_t from = 1000; from <= 6000; from += 500)
			for (uint64_t rise = 1400; rise <= 1800; rise += 200)
				for (uint64_t rise_msec = 500; rise_msec <= 4500; rise_msec += 500) {
					uint64_t now_usec = T0 - 20 * USEC_PER_SEC;

					begin(limits[i]);
					while (now_usec < T0 + 60 * USEC_PER_SEC) {
						const uint64_t msec = now_usec < T0 ? 0 : (now_usec - T0) / USEC_PER_MSEC;

						look(now_usec, share_of(limits[i],
									from + rise * MIN(msec, rise_msec) / rise_msec));
						now_usec += trend_next_usec(&group, false, now_usec);
					}
					CHECK_EQ(n_told[ALERT_KILL_NEAR], 0);
				}
}

/* Beyond that a danger is told; and so it is in another life of the unit, or below another limit. */
static void test_what_came_back_is_news_where_all_is_new(void)
{
	static const struct teeth teeth = { 1000, 6000, 30000, 0, 10, false };
	static const struct teeth leak = { 1000, 1000, 1000, 200, 10, false };
	unsigned int n;

	for (int what = 0; what < 4; what++) {
		begin(LIMIT);
		live(&teeth, 3600);
		n = n_told[ALERT_KILL_NEAR];
		CHECK_EQ(n, 3);
		/* Later than any pause but that. */
		group.trend = (struct trend){ .eta_usec = USEC_INFINITY };
		memory.kinds[ALERT_KILL_NEAR].told_usec = 1;
		if (what == 1)
			memory = warn_renew(&memory);
		if (what == 2)
			group.reading.limit_bytes = 2 * LIMIT;
		if (what == 3)
			group.reading.n_oom_kill++;
		live(&leak, 20);
		CHECK_EQ(n_told[ALERT_KILL_NEAR], n + (what > 0));
		live(&leak, 100);
		CHECK(n_told[ALERT_KILL_NEAR] > n);
	}
}

/* A tooth counts in its own life alone: beyond those of this one a danger is told. */
static void test_what_another_life_came_back_from_is_forgotten(void)
{
	static const struct teeth high = { 1000, 9000, 30000, 0, 10, false };
	static const struct teeth teeth = { 1000, 6000, 30000, 0, 10, false };
	static const struct teeth leak = { 1000, 1000, 1000, 200, 10, false };
	unsigned int n;

	begin(LIMIT);
	live(&high, 40);
	CHECK(n_told[ALERT_KILL_NEAR] > 0);
	memory = warn_renew(&memory);
	group.trend = (struct trend){ .eta_usec = USEC_INFINITY };
	memory.kinds[ALERT_KILL_NEAR].told_usec = 1;
	live(&teeth, 3600);
	n = n_told[ALERT_KILL_NEAR];
	group.trend = (struct trend){ .eta_usec = USEC_INFINITY };
	memory.kinds[ALERT_KILL_NEAR].told_usec = 1;
	live(&leak, 34);
	CHECK_EQ(n_told[ALERT_KILL_NEAR], n + 1);
}

int main(void)
{
	RUN(test_growth_in_steps_is_told_30_seconds_before);
	RUN(test_a_leak_under_teeth_is_told_with_the_growth_of_the_leak);
	RUN(test_one_step_and_steps_that_are_over_are_no_growth);
	RUN(test_what_comes_back_is_no_news_for_a_day);
	RUN(test_a_leak_under_teeth_is_told);
	RUN(test_a_slow_leak_under_large_teeth_makes_no_storm);
	RUN(test_a_program_that_starts_beside_another_is_no_kill);
	RUN(test_what_came_back_is_news_where_all_is_new);
	RUN(test_what_another_life_came_back_from_is_forgotten);
	return TEST_RESULT();
}
