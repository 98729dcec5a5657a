/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What makes another round worth while: something has changed since the last one. */

#include "tests/unit/benefit-fixture.h"

static struct benefit waited;

/* 600 MiB, 560 used, members of which nothing more was expected. */
static struct group waiting(void)
{
	struct group group = {
		.settings = &settings,
		.reading = { .limit_bytes = 600 * MIB, .anon_bytes = 560 * MIB },
		.heap = { .fresh_bytes = 20 * MIB },
		.n_joined = 3,
	};
	const struct outcome useless = released(0, 0);

	waited = benefit_add(&group, &useless);
	group.benefit = &waited;
	return group;
}

static void test_nothing_has_changed_right_after_a_round(void)
{
	const struct group never = { .reading = { .limit_bytes = 600 * MIB } };
	struct group group = waiting();

	CHECK(!benefit_is_outdated(&group));
	CHECK(!benefit_is_outdated(&never));
}

static void test_what_members_hold_anew_is_a_change(void)
{
	struct group group = waiting();

	group.heap.fresh_bytes = 29 * MIB;
	CHECK(!benefit_is_outdated(&group));
	group.heap.fresh_bytes = 30 * MIB;
	CHECK(benefit_is_outdated(&group));
	group.heap.fresh_bytes = 0;
	CHECK(!benefit_is_outdated(&group));
}

static void test_a_new_member_and_another_limit_are_changes(void)
{
	struct group group = waiting();

	group.n_joined++;
	CHECK(benefit_is_outdated(&group));
	group = waiting();
	group.reading.limit_bytes += 4096;
	CHECK(benefit_is_outdated(&group));
	group = waiting();
	group.reading.limit_bytes = BYTES_INFINITY;
	CHECK(benefit_is_outdated(&group));
}

static void test_half_as_far_from_the_limit_is_a_change(void)
{
	struct group group = waiting();

	group.reading.anon_bytes = 579 * MIB;
	CHECK(!benefit_is_outdated(&group));
	group.reading.anon_bytes = 580 * MIB;
	CHECK(benefit_is_outdated(&group));

	/* At the limit the last few pages are no news. */
	waited.last_anon_bytes = 592 * MIB;
	group.reading.anon_bytes = 600 * MIB;
	CHECK(!benefit_is_outdated(&group));
}

static void test_a_quarter_given_back_by_the_program_is_a_change(void)
{
	struct group group = waiting();

	group.reading.anon_bytes = 421 * MIB;
	CHECK(!benefit_is_outdated(&group));
	group.reading.anon_bytes = 420 * MIB;
	CHECK(benefit_is_outdated(&group));
}

static void test_half_of_the_way_counts_from_the_last_round_that_asked(void)
{
	struct outcome nobody = quiet(REASON_OOM_ETA, REASON_NOT_WORTH, 200);
	const struct outcome asked = released(100, 100);
	struct benefit b = { 0 };
	struct group group = {
		.settings = &settings,
		.benefit = &b,
		.reading = { .limit_bytes = 600 * MIB, .anon_bytes = 100 * MIB },
	};

	b = benefit_add(&group, &asked);
	group.reading.anon_bytes = 300 * MIB;
	b = benefit_add(&group, &nobody);
	CHECK_EQ(b.asked_anon_bytes, 100 * MIB);
	CHECK_EQ(b.last_anon_bytes, 300 * MIB);
	CHECK_EQ(b.last_quiet_trigger, REASON_OOM_ETA);
	CHECK_EQ(benefit_half_way_bytes(&group), 350 * MIB);
	group.reading.anon_bytes = 350 * MIB - 1;
	CHECK(!benefit_is_half_way(&group));
	group.reading.anon_bytes++;
	CHECK(benefit_is_half_way(&group));
	CHECK(!benefit_is_outdated(&group));
	CHECK_EQ(benefit_half_way_bytes(&group), 450 * MIB);
	group.reading.anon_bytes = 450 * MIB;
	CHECK(benefit_is_outdated(&group));

	/* Under another limit it is not known. */
	group.reading.limit_bytes = 400 * MIB;
	group.reading.anon_bytes = 400 * MIB;
	CHECK(!benefit_is_half_way(&group));
	CHECK_EQ(benefit_half_way_bytes(&group), BYTES_INFINITY);

	/* One that became urgent before it found nobody answers that. */
	nobody.hurried = REASON_USAGE_CRITICAL;
	CHECK_EQ(benefit_add(&group, &nobody).last_quiet_trigger, REASON_USAGE_CRITICAL);
}

int main(void)
{
	RUN(test_nothing_has_changed_right_after_a_round);
	RUN(test_what_members_hold_anew_is_a_change);
	RUN(test_a_new_member_and_another_limit_are_changes);
	RUN(test_half_as_far_from_the_limit_is_a_change);
	RUN(test_a_quarter_given_back_by_the_program_is_a_change);
	RUN(test_half_of_the_way_counts_from_the_last_round_that_asked);

	return TEST_RESULT();
}
