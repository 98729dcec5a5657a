/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a group is worth an alert, from the figures of trend.c, and how often at most. */

#include "tests/unit/warn-fixture.h"

#define LIMIT (1000 * MIB)

/*
 * Grows from @from_permyriad until it is killed, looked at as often as trend_next_usec()
 * says. Returns how long before the kill it was told, 0 for never.
 */
static uint64_t told_before_kill(uint64_t limit_bytes, uint64_t from_permyriad,
				 uint64_t permyriad_per_sec)
{
	const uint64_t from = share_of(limit_bytes, from_permyriad);
	const uint64_t kill_usec = T0 + (PERMYRIAD - from_permyriad) * USEC_PER_SEC / permyriad_per_sec;
	uint64_t now_usec = T0;

	begin(limit_bytes);
	/* Steady for a while. */
	look(T0 - 20 * USEC_PER_SEC, from);
	look(T0 - 10 * USEC_PER_SEC, from);
	while (now_usec < kill_usec) {
		look(now_usec, from + share_of(limit_bytes, (now_usec - T0) / USEC_PER_MSEC *
							permyriad_per_sec / 1000));
		now_usec += trend_next_usec(&group, false, now_usec);
	}

	return n_told[ALERT_KILL_NEAR] > 0 ? kill_usec - first_usec[ALERT_KILL_NEAR] : 0;
}

static void test_a_kill_is_told_30_seconds_before(void)
{
	static const uint64_t limits[] = { 64 * MIB, 600 * MIB, 8 * GIB, 512 * GIB };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		for (uint64_t from = 0; from <= 6000; from += 500)
			for (uint64_t rate = 10; rate <= 100; rate += 15) {
				const uint64_t before = told_before_kill(limits[i], from, rate);

				CHECK(before >= 30 * USEC_PER_SEC);
				CHECK(before <= 2 * WARN_KILL_NEAR_USEC);
				CHECK_EQ(n_told[ALERT_KILL_NEAR], 1);
			}
}

static void test_what_begins_late_is_told_at_once(void)
{
	/* 20 s are left when it begins. */
	CHECK(told_before_kill(600 * MIB, 8000, 100) >= 10 * USEC_PER_SEC);
}

static void test_a_step_is_not_growth(void)
{
	begin(LIMIT);
	look(T0, 300 * MIB);
	for (uint64_t i = 1; i < 600; i++)
		CHECK_EQ(look(T0 + i * 100 * USEC_PER_MSEC, (i < 50 ? 300 : 700) * MIB), 0);
}

struct point {
	uint64_t at_msec, usage_mib;
};

/* Up to the last point, straight from each to the next. */
static uint64_t usage_at(const struct point *points, uint64_t msec)
{
	uint64_t span;

	while (msec >= points[1].at_msec)
		points++;

	span = points[1].at_msec - points[0].at_msec;
	return points[0].usage_mib * MIB +
	       (points[1].usage_mib * MIB / span) * (msec - points[0].at_msec) -
	       (points[0].usage_mib * MIB / span) * (msec - points[0].at_msec);
}

/* Looked at as often as trend_next_usec() says, for so long. */
static void live(uint64_t limit_bytes, const struct point *points, uint64_t end_msec)
{
	uint64_t now_usec = T0;

	begin(limit_bytes);
	while (now_usec < T0 + end_msec * USEC_PER_MSEC) {
		look(now_usec, usage_at(points, (now_usec - T0) / USEC_PER_MSEC));
		now_usec += trend_next_usec(&group, false, now_usec);
	}
}

static void test_a_step_that_is_over_is_no_kill(void)
{
	static const struct point one[] = { { 0, 10 },      { 200, 60 },     { 9000, 60 },
					    { 9300, 140 },  { 60000, 140 },  { 60001, 140 } };
	static const struct point start[] = { { 0, 4 },      { 1500, 104 },  { 60000, 104 },
					      { 60001, 104 } };

	live(200 * MIB, one, 60000);
	CHECK_EQ(n_told[ALERT_KILL_NEAR], 0);
	live(200 * MIB, start, 60000);
	CHECK_EQ(n_told[ALERT_KILL_NEAR], 0);
}

/* It rests after each, and is killed all the same. */
static void test_growth_in_steps_is_growth(void)
{
	static const struct point points[] = {
		{ 0, 100 },     { 10000, 100 }, { 10100, 110 }, { 12000, 110 }, { 12100, 120 },
		{ 14000, 120 }, { 14100, 130 }, { 16000, 130 }, { 16100, 140 }, { 18000, 140 },
		{ 18001, 140 },
	};

	live(200 * MIB, points, 18000);
	CHECK_EQ(n_told[ALERT_KILL_NEAR], 1);
}

/* A start that lasts long enough to be told, rest, and then growth of 1 % a second. */
static void test_a_false_alert_does_not_hold_the_true_one_back(void)
{
	for (uint64_t rest_sec = 5; rest_sec < 90; rest_sec += 5)
		for (uint64_t first_mib = 90; first_mib <= 120; first_mib += 10) {
			const uint64_t from_msec = (5 + rest_sec) * 1000;
			const uint64_t kill_msec = from_msec + (200 - first_mib) * 500;
			const struct point points[] = {
				{ 0, 4 },
				{ 5000, first_mib },
				{ from_msec, first_mib },
				{ kill_msec, 200 },
				{ kill_msec + 1, 200 },
			};

			live(200 * MIB, points, kill_msec);
			CHECK_EQ(n_told[ALERT_KILL_NEAR], 2);
			CHECK(T0 + kill_msec * USEC_PER_MSEC -
				      memory.kinds[ALERT_KILL_NEAR].told_usec >=
			      30 * USEC_PER_SEC);
		}
}

/* Danger each time, and none: what came back to where it was before is no news there. */
static void test_teeth_make_no_storm(void)
{
	begin(LIMIT);
	for (uint64_t i = 0; i < UINT64_C(24) * 3600 * 4; i++)
		look(T0 + i * 250 * USEC_PER_MSEC, (200 + i % 120 * (4 + i / 120 % 3)) * MIB);

	CHECK(n_told[ALERT_KILL_NEAR] >= 3 && n_told[ALERT_KILL_NEAR] <= 6);
}

static void test_a_start_is_no_kill(void)
{
	begin(LIMIT);
	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(look(T0 + i * 100 * USEC_PER_MSEC, MIN(i * 3, 200U) * MIB), 0);
}

static void test_without_a_limit_nothing_is_told(void)
{
	begin(BYTES_INFINITY);
	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(look(T0 + i * USEC_PER_SEC, i * GIB), 0);
}

static void test_critical_is_told_where_it_stays(void)
{
	begin(LIMIT);
	look(T0, 500 * MIB);
	CHECK_EQ(look(T0 + 10 * USEC_PER_SEC, 950 * MIB), 0);
	/* Mended by a release at once. */
	CHECK_EQ(look(T0 + 10 * USEC_PER_SEC + 500 * USEC_PER_MSEC, 500 * MIB), 0);

	CHECK_EQ(look(T0 + 20 * USEC_PER_SEC, 950 * MIB), 0);
	CHECK_EQ(look(T0 + 21 * USEC_PER_SEC, 950 * MIB), 1U << ALERT_USAGE_CRITICAL);
	for (uint64_t i = 22; i < 10000; i++)
		CHECK_EQ(look(T0 + i * USEC_PER_SEC, 950 * MIB), 0);

	/* Off is off. */
	begin(LIMIT);
	settings.usage_critical_permyriad = 0;
	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(look(T0 + i * USEC_PER_SEC, 950 * MIB), 0);
}

static void test_a_sawtooth_makes_no_storm(void)
{
	uint64_t in_first_hour = 0;

	begin(LIMIT);
	for (uint64_t i = 0; i < 24 * 3600; i++) {
		look(T0 + i * USEC_PER_SEC, (i % 8 < 4 ? 500 : 950) * MIB);
		if (i == 3600)
			in_first_hour = n_told[ALERT_USAGE_CRITICAL];
	}

	CHECK(in_first_hour >= 1 && in_first_hour <= 7);
	CHECK(n_told[ALERT_USAGE_CRITICAL] <= 7 + 24);
	/* And those held back are counted: one in 8 s over an hour. */
	CHECK(n_held_back > 400 && n_held_back < 500);

	/* After peace it is told as at first. */
	for (uint64_t i = 0; i < 5 * 3600; i += 100)
		look(T0 + (24 * 3600 + i) * USEC_PER_SEC, 500 * MIB);
	look(T0 + 30 * 3600 * USEC_PER_SEC, 950 * MIB);
	CHECK_EQ(look(T0 + (30 * 3600 + 2) * USEC_PER_SEC, 950 * MIB), 1U << ALERT_USAGE_CRITICAL);
	CHECK_EQ(memory.kinds[ALERT_USAGE_CRITICAL].gap_usec, WARN_GAP_MIN_USEC);
}

static void test_kills_are_counted_and_old_ones_are_not_ours(void)
{
	begin(LIMIT);
	group.reading.n_oom_kill = 7;
	CHECK_EQ(look(T0, 500 * MIB), 0);
	CHECK_EQ(n_oom_new, 0);
	group.reading.n_oom_kill = 8;
	CHECK_EQ(look(T0 + USEC_PER_SEC, 100 * MIB), 1U << ALERT_OOM_KILL);
	CHECK_EQ(n_oom_kills, 1);
	CHECK_EQ(n_oom_new, 1);
	CHECK_EQ(memory.killed_usec, T0 + USEC_PER_SEC);
	CHECK_EQ(memory.killed_limit_bytes, LIMIT);

	/* A worker that is killed each second: those that were not told are in the next. */
	for (uint64_t i = 2; i < 62; i++) {
		group.reading.n_oom_kill++;
		look(T0 + i * USEC_PER_SEC, 100 * MIB);
		CHECK_EQ(n_oom_new, 1);
	}
	look(T0 + 62 * USEC_PER_SEC, 100 * MIB);
	CHECK_EQ(n_oom_new, 0);
	CHECK_EQ(n_told[ALERT_OOM_KILL], 2);
	CHECK_EQ(n_oom_kills, 60);

	/* Of the last process too. */
	begin(LIMIT);
	look(T0, 500 * MIB);
	group.n_members = 0;
	group.reading.n_oom_kill = 1;
	CHECK_EQ(look(T0 + USEC_PER_SEC, 0), 1U << ALERT_OOM_KILL);
}

static void test_releases_that_do_not_pay_are_told_near_the_limit(void)
{
	struct benefit benefit = { 0 };

	begin(LIMIT);
	group.benefit = &benefit;
	benefit.n_disappointing = 2;
	CHECK_EQ(look(T0, 850 * MIB), 0);
	benefit.n_disappointing = 3;
	CHECK_EQ(look(T0 + 10 * USEC_PER_SEC, 500 * MIB), 0);
	CHECK_EQ(look(T0 + 20 * USEC_PER_SEC, 850 * MIB), 1U << ALERT_NOT_PAYING);
	CHECK_EQ(look(T0 + 30 * USEC_PER_SEC, 850 * MIB), 0);

	/* Also where the cool-down is as long as any back-off. */
	begin(LIMIT);
	settings.cooldown_usec = benefit.backoff_usec = 3600 * USEC_PER_SEC;
	group.benefit = &benefit;
	CHECK_EQ(look(T0, 850 * MIB), 1U << ALERT_NOT_PAYING);
}

static void test_a_restarted_unit_is_the_same_one(void)
{
	begin(LIMIT);
	look(T0, 500 * MIB);
	group.reading.n_oom_kill = 1;
	CHECK_EQ(look(T0 + USEC_PER_SEC, 100 * MIB), 1U << ALERT_OOM_KILL);

	for (uint64_t i = 2; i < 60; i++) {
		memory = warn_renew(&memory);
		group.reading.n_oom_kill = 0;
		CHECK_EQ(look(T0 + i * USEC_PER_SEC, 100 * MIB), 0);
		/* For the verdict its end was not the end of it. */
		CHECK_EQ(memory.killed_usec, T0 + (i - 1) * USEC_PER_SEC + (i > 2));
		group.reading.n_oom_kill = 1;
		CHECK_EQ(look(T0 + i * USEC_PER_SEC + 1, 100 * MIB), 0);
	}

	/* What it was not told of then is counted when it is told again. */
	memory = warn_renew(&memory);
	group.reading.n_oom_kill = 0;
	CHECK_EQ(look(T0 + 70 * USEC_PER_SEC, 100 * MIB), 0);
	group.reading.n_oom_kill = 1;
	CHECK_EQ(look(T0 + 71 * USEC_PER_SEC, 100 * MIB), 1U << ALERT_OOM_KILL);
	CHECK_EQ(n_oom_kills, 1);
	CHECK_EQ(n_held_back, 58);
	CHECK_EQ(warn_renew(&memory).kinds[ALERT_OOM_KILL].n_held_back, 0);
}

static void test_what_was_never_read_is_no_fact(void)
{
	struct warn warn;

	begin(0);
	warn = warn_step(&memory, &group, T0);
	CHECK_EQ(warn.due, 0);

	/* A clock that stands still or goes back harms nothing. */
	begin(LIMIT);
	look(T0, 950 * MIB);
	CHECK_EQ(look(T0 - USEC_PER_SEC, 950 * MIB), 0);
}

static void test_a_kill_that_was_told_was_not_held_back(void)
{
	begin(LIMIT);
	look(T0, 100 * MIB);
	for (uint64_t i = 1; i < 4; i++) {
		group.reading.n_oom_kill = i;
		CHECK_EQ(look(T0 + i * 300 * USEC_PER_SEC, 100 * MIB), 1U << ALERT_OOM_KILL);
		CHECK_EQ(n_held_back, 0);
		CHECK_EQ(look(T0 + i * 300 * USEC_PER_SEC + USEC_PER_SEC, 100 * MIB), 0);
	}
}

int main(void)
{
	RUN(test_a_kill_is_told_30_seconds_before);
	RUN(test_what_begins_late_is_told_at_once);
	RUN(test_a_step_is_not_growth);
	RUN(test_a_step_that_is_over_is_no_kill);
	RUN(test_growth_in_steps_is_growth);
	RUN(test_a_false_alert_does_not_hold_the_true_one_back);
	RUN(test_teeth_make_no_storm);
	RUN(test_a_start_is_no_kill);
	RUN(test_without_a_limit_nothing_is_told);
	RUN(test_critical_is_told_where_it_stays);
	RUN(test_a_sawtooth_makes_no_storm);
	RUN(test_kills_are_counted_and_old_ones_are_not_ours);
	RUN(test_a_kill_that_was_told_was_not_held_back);
	RUN(test_releases_that_do_not_pay_are_told_near_the_limit);
	RUN(test_a_restarted_unit_is_the_same_one);
	RUN(test_what_was_never_read_is_no_fact);
	return TEST_RESULT();
}
