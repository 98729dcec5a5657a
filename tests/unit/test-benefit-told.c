/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Of rounds that asked nobody: which are told of, and which are the same news again. */

#include "tests/unit/benefit-fixture.h"

static struct benefit remembered;

static bool is_told(struct outcome outcome)
{
	const struct group group = {
		.settings = &settings,
		.benefit = &remembered,
		.reading = { .limit_bytes = 600 * MIB },
	};
	const bool news = benefit_is_news(&group, &outcome);

	remembered = benefit_add(&group, &outcome);
	return news;
}

static void become(enum gate_state state)
{
	const struct group group = { .benefit = &remembered, .gate.state = state };

	if (benefit_ends_row(&group))
		remembered.told_over = true;
}

static void test_what_is_observed_is_told_once(void)
{
	remembered = (struct benefit){ 0 };
	CHECK(is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 100)));
	for (uint64_t i = 1; i < 3 * 24; i++)
		CHECK(!is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 100 + 3600 * i)));

	/* Something else would be done; and once each, however it swings. */
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_OBSERVE, 400000)));
	CHECK(!is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 400010)));
	CHECK(!is_told(quiet(REASON_USAGE_HIGH, REASON_OBSERVE, 400020)));

	/* A command is not the group's own, and its release is a new beginning. */
	CHECK(is_told(released(100, 100)));
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_OBSERVE, 400030)));
}

static void test_what_is_observed_is_told_again_after_it_was_calm(void)
{
	remembered = (struct benefit){ 0 };
	CHECK(is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 100)));
	become(GATE_RETAINING);
	CHECK(!is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 200)));
	become(GATE_CALM);
	CHECK(is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 300)));
	CHECK(!is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 400)));

	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_OBSERVE, 500)));
	become(GATE_RETAINING);
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_OBSERVE, 1000)));
}

static void test_why_nobody_was_asked_is_told_near_the_limit(void)
{
	remembered = (struct benefit){ 0 };
	/* What was not told while all was calm is news there. */
	CHECK(!is_told(quiet(REASON_RETAINED, REASON_NO_MEMBERS, 100)));
	CHECK(!is_told(quiet(REASON_PRESSURE, REASON_NO_MEMBERS, 101)));
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_NO_MEMBERS, 102)));
	CHECK(!is_told(quiet(REASON_USAGE_CRITICAL, REASON_NO_MEMBERS, 103)));
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_NOT_WORTH, 104)));
	CHECK(!is_told(quiet(REASON_USAGE_HIGH, REASON_NO_MEMBERS, 105)));

	CHECK(is_told(released(100, 100)));
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_NOT_WORTH, 106)));
	become(GATE_HIGH);
	CHECK(!is_told(quiet(REASON_USAGE_HIGH, REASON_NOT_WORTH, 500)));

	/* Another time, whatever was found in between. */
	become(GATE_CALM);
	CHECK(!is_told(quiet(REASON_RETAINED, REASON_NOT_WORTH, 90000)));
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_NOT_WORTH, 90001)));
	become(GATE_RETAINING);
	CHECK(is_told(quiet(REASON_USAGE_HIGH, REASON_NOT_WORTH, 180000)));
}

static void test_a_group_that_swings_about_a_threshold_is_told_of_ever_later(void)
{
	unsigned int n_told = 0;

	remembered = (struct benefit){ 0 };
	for (uint64_t at = 100; at < 100 + 24 * 3600; at += 10) {
		n_told += is_told(quiet(REASON_RETAINED, REASON_OBSERVE, at));
		become(GATE_CALM);
	}
	CHECK_EQ(n_told, 7 + 23);

	/* Next day it is news as at first. */
	CHECK(is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 200000)));
	become(GATE_CALM);
	CHECK(is_told(quiet(REASON_RETAINED, REASON_OBSERVE, 200030)));
}

int main(void)
{
	RUN(test_what_is_observed_is_told_once);
	RUN(test_what_is_observed_is_told_again_after_it_was_calm);
	RUN(test_why_nobody_was_asked_is_told_near_the_limit);
	RUN(test_a_group_that_swings_about_a_threshold_is_told_of_ever_later);

	return TEST_RESULT();
}
