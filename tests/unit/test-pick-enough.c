/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many of those chosen it takes, and who was asked ahead of them. */

#include "tests/unit/pick-fixture.h"

/* A group of 1000 MiB at 850, to be below 770; three that give 60 each. */
static void three_of_which_two_are_enough(void)
{
	reset();
	settings.usage_high_permyriad = 8000;
	settings.oom_eta_usec = 10 * USEC_PER_SEC;
	group.reading = (struct reading){
		.time_usec = NOW,
		.anon_bytes = 850 * MIB,
		.limit_bytes = 1000 * MIB,
	};
	for (size_t i = 0; i < 3; i++)
		add(i, 60, 100);
}

static void test_above_usage_high_as_many_are_needed_as_it_takes(void)
{
	three_of_which_two_are_enough();
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_picks, 3);
	CHECK_EQ(decision.n_needed, 2);
	CHECK_EQ(decision.enough_permyriad, 7700);

	/* Below, not at, the line. */
	members[0].retained_bytes = 80 * MIB;
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_needed, 2);
	members[0].retained_bytes++;
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_needed, 1);

	/* Of whom nothing is known nothing is expected. */
	for (size_t i = 0; i < 3; i++)
		members[i].stats_usec = 0;
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_needed, 3);
}

static void test_for_other_reasons_all_are_needed(void)
{
	static const enum reason reasons[] = {
		REASON_COMMAND, REASON_USAGE_CRITICAL, REASON_OOM_ETA,
		REASON_PRESSURE, REASON_RETAINED, REASON_MACHINE, REASON_LEFT,
	};

	three_of_which_two_are_enough();
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		pick(3, reasons[i]);
		CHECK_EQ(decision.n_picks, 3);
		CHECK_EQ(decision.n_needed, 3);
		CHECK_EQ(decision.enough_permyriad, 0);
	}
}

static void test_all_are_needed_where_the_limit_comes_soon(void)
{
	three_of_which_two_are_enough();
	group.trend.growth_bytes_per_sec = 1;
	group.trend.eta_usec = 10 * USEC_PER_SEC + 1;
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_needed, 2);
	group.trend.eta_usec--;
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_needed, 3);
	CHECK_EQ(decision.enough_permyriad, 0);

	/* Of a group that shrinks the figure is an old one. */
	group.trend.growth_bytes_per_sec = -1;
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_needed, 2);
}

static void test_enough_is_what_is_measured(void)
{
	three_of_which_two_are_enough();
	pick(3, REASON_USAGE_HIGH);
	group.reading.anon_bytes = 770 * MIB;
	CHECK(!pick_is_enough(&decision, &group.reading));
	group.reading.anon_bytes--;
	CHECK(pick_is_enough(&decision, &group.reading));

	/* The limit may be another one meanwhile. */
	group.reading.limit_bytes = 900 * MIB;
	CHECK(!pick_is_enough(&decision, &group.reading));
	group.reading.limit_bytes = BYTES_INFINITY;
	CHECK(pick_is_enough(&decision, &group.reading));

	pick(3, REASON_USAGE_CRITICAL);
	group.reading.anon_bytes = 0;
	CHECK(!pick_is_enough(&decision, &group.reading));
}

static void test_who_was_asked_ahead_comes_first(void)
{
	struct pick pick_of_105 = { .pid = 105, .expected_bytes = 7 };

	three_of_which_two_are_enough();
	pick(3, REASON_USAGE_CRITICAL);
	decision_put_first(&decision, &(struct pick){ .pid = 102, .expected_bytes = 5 });
	CHECK_EQ(decision.n_picks, 3);
	CHECK_EQ(decision.picks[0].pid, 102);
	CHECK_EQ(decision.picks[0].expected_bytes, 5);
	CHECK_EQ(decision.picks[1].pid, 100);
	CHECK_EQ(decision.picks[2].pid, 101);

	/* Whom the look at all leaves out. */
	decision_put_first(&decision, &pick_of_105);
	CHECK_EQ(decision.n_picks, 4);
	CHECK_EQ(decision.picks[0].pid, 105);
	CHECK_EQ(decision.picks[3].pid, 101);

	decision.n_picks = 0;
	decision_put_first(&decision, &pick_of_105);
	CHECK_EQ(decision.n_picks, 1);

	for (size_t i = 0; i < DECISION_PICKS_MAX; i++)
		add(i, 60, 100)->process.pid = (pid_t)(1000 + i);
	pick(DECISION_PICKS_MAX, REASON_USAGE_CRITICAL);
	decision_put_first(&decision, &pick_of_105);
	CHECK_EQ(decision.n_picks, DECISION_PICKS_MAX);
	CHECK_EQ(decision.picks[0].pid, 105);
	CHECK_EQ(decision.picks[DECISION_PICKS_MAX - 1].pid, 1000 + DECISION_PICKS_MAX - 2);
}

int main(void)
{
	RUN(test_above_usage_high_as_many_are_needed_as_it_takes);
	RUN(test_for_other_reasons_all_are_needed);
	RUN(test_all_are_needed_where_the_limit_comes_soon);
	RUN(test_enough_is_what_is_measured);
	RUN(test_who_was_asked_ahead_comes_first);

	return TEST_RESULT();
}
