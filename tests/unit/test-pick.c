/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whom a round asks, in which order, and why nobody. */

#include "tests/unit/pick-fixture.h"

static const enum reason pressing[] = {
	REASON_USAGE_HIGH,
	REASON_USAGE_CRITICAL,
	REASON_OOM_ETA,
	REASON_PRESSURE,
};

static void test_the_largest_expectation_is_asked_first(void)
{
	reset();
	add(0, 50, 900);
	add(1, 300, 400);
	add(2, 100, 500);
	pick(3, REASON_USAGE_HIGH);

	CHECK(decision.act);
	CHECK_EQ(decision.reason, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_picks, 3);
	CHECK_EQ(decision.picks[0].pid, 101);
	CHECK_EQ(decision.picks[0].start_time, 5001);
	CHECK_EQ(decision.picks[0].expected_bytes, 300 * MIB);
	CHECK_EQ(decision.picks[1].pid, 102);
	CHECK_EQ(decision.picks[2].pid, 100);
	CHECK_EQ(decision.expected_bytes, 450 * MIB);
}

static void test_equal_expectations_are_ordered_by_rss_then_pid(void)
{
	reset();
	add(0, 50, 100);
	add(1, 50, 300);
	add(2, 50, 300);
	list[1] = &members[2];
	list[2] = &members[1];
	pick(3, REASON_PRESSURE);

	CHECK_EQ(decision.picks[0].pid, 101);
	CHECK_EQ(decision.picks[1].pid, 102);
	CHECK_EQ(decision.picks[2].pid, 100);
}

static void test_who_gives_most_for_its_stall_is_asked_first(void)
{
	reset();
	settings.method = METHOD_FULL;
	for (size_t i = 0; i < 2; i++)
		add(i, 100 + 50 * i, 400)->busy_permyriad = 9000;
	members[0].stall_usec = 8000;
	members[1].stall_usec = 18000;

	pick(2, REASON_USAGE_HIGH);
	CHECK_EQ(decision.picks[0].pid, 100);
	CHECK_EQ(decision.picks[1].pid, 101);

	/* Whom nobody waits for can stall for as long as it likes. */
	members[1].busy_permyriad = 0;
	pick(2, REASON_USAGE_HIGH);
	CHECK_EQ(decision.picks[0].pid, 101);

	/* Near a kill the time counts. */
	members[1].release_usec = 8000;
	members[0].release_usec = 18000;
	pick(2, REASON_USAGE_CRITICAL);
	CHECK_EQ(decision.picks[0].pid, 101);
	members[1].release_usec = 80000;
	pick(2, REASON_USAGE_CRITICAL);
	CHECK_EQ(decision.picks[0].pid, 100);
}

static void test_many_small_ones_do_not_come_before_a_large_one(void)
{
	reset();
	add(0, 20, 400)->release_usec = 0;
	add(1, 1000, 1400)->release_usec = 20 * USEC_PER_MSEC;
	pick(2, REASON_USAGE_CRITICAL);
	CHECK_EQ(decision.picks[0].pid, 101);
}

static void test_too_small_is_not_worth_it(void)
{
	reset();
	add(0, 15, 900);
	pick(1, REASON_USAGE_HIGH);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
	CHECK_EQ(decision.n_picks, 0);
	CHECK_EQ(decision.expected_bytes, 0);

	add(0, 16, 900);
	pick(1, REASON_USAGE_HIGH);
	CHECK(decision.act);
}

static void test_nothing_is_never_worth_it_even_if_min_release_is_zero(void)
{
	reset();
	settings.min_release_bytes = 0;
	add(0, 0, 900);
	pick(1, REASON_USAGE_HIGH);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
	pick(1, REASON_RETAINED);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
	add(0, 1, 900);
	pick(1, REASON_RETAINED);
	CHECK_EQ(decision.reason, REASON_RETAINED);
}

static void test_critical_asks_everybody_in_order(void)
{
	reset();
	add(0, 1, 10);
	add(1, 0, 20);
	add(2, 15, 5)->stall_usec = 900 * USEC_PER_MSEC;
	members[2].busy_permyriad = 10000;
	add(3, 0, 900)->stats_usec = 0;
	pick(4, REASON_USAGE_CRITICAL);

	CHECK(decision.act);
	CHECK_EQ(decision.n_picks, 4);
	CHECK_EQ(decision.picks[0].pid, 102);
	CHECK_EQ(decision.picks[0].stall_usec, 900 * USEC_PER_MSEC);
	CHECK_EQ(decision.picks[1].pid, 100);
	CHECK_EQ(decision.picks[2].pid, 103);
	CHECK_EQ(decision.picks[3].pid, 101);
}

static void test_a_command_asks_everybody_who_can_be(void)
{
	reset();
	settings.mode = MODE_OBSERVE;
	add(0, 0, 1);
	add(1, 0, 2)->n_failed = 7;
	add(2, 900, 3)->seccomp_changed = true;
	add(3, 900, 3)->process.state = 'Z';
	pick(4, REASON_COMMAND);

	CHECK(decision.act);
	CHECK_EQ(decision.reason, REASON_COMMAND);
	CHECK_EQ(decision.n_picks, 2);
	CHECK_EQ(decision.picks[0].pid, 101);
	CHECK_EQ(decision.picks[1].pid, 100);
}

static void test_who_cannot_be_asked_is_left_out(void)
{
	reset();
	add(0, 900, 900)->seccomp_changed = true;
	add(1, 900, 900)->n_failed = 3;
	add(2, 900, 900)->process.state = 'X';
	add(3, 900, 900)->n_failed = 2;

	for (size_t i = 0; i < ARRAY_SIZE(pressing); i++) {
		pick(4, pressing[i]);
		CHECK_EQ(decision.n_picks, 1);
		CHECK_EQ(decision.picks[0].pid, 103);
		pick(3, pressing[i]);
		CHECK_EQ(decision.reason, REASON_NO_MEMBERS);
		CHECK(!decision.act);
	}
}

static void test_nobody_there_is_said_so(void)
{
	reset();
	pick(0, REASON_USAGE_CRITICAL);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_NO_MEMBERS);
	pick(0, REASON_COMMAND);
	CHECK_EQ(decision.reason, REASON_NO_MEMBERS);
}

static void test_unmeasured_members_come_last_by_rss(void)
{
	reset();
	add(0, 999, 100)->stats_usec = 0;
	add(1, 16, 50);
	add(2, 999, 900)->stats_usec = 0;

	for (int i = 0; i < 2; i++) {
		pick(3, i == 0 ? REASON_USAGE_HIGH : REASON_USAGE_CRITICAL);
		CHECK_EQ(decision.n_picks, 3);
		CHECK_EQ(decision.picks[0].pid, 101);
		CHECK_EQ(decision.picks[1].pid, 102);
		CHECK_EQ(decision.picks[1].expected_bytes, 0);
		CHECK_EQ(decision.picks[2].pid, 100);
		CHECK_EQ(decision.expected_bytes, 16 * MIB);
	}
}

static void test_growth_since_the_figures_may_be_given_back_too(void)
{
	struct member *m;

	reset();
	m = add(0, 0, 100);
	m->stats.rss = m->process.rss_bytes;
	pick(1, REASON_USAGE_HIGH);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);

	m->process.rss_bytes += 300 * MIB;
	pick(1, REASON_USAGE_HIGH);
	CHECK(decision.act);
}

static void test_below_usage_high_nobody_is_asked_just_to_learn(void)
{
	reset();
	add(0, 999, 900)->stats_usec = 0;

	pick(1, REASON_OOM_ETA);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
	pick(1, REASON_PRESSURE);
	CHECK(!decision.act);
}

static void test_while_calm_nobody_is_asked_just_to_learn(void)
{
	reset();
	add(0, 999, 900)->stats_usec = 0;
	pick(1, REASON_RETAINED);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);

	add(1, 16, 200);
	pick(2, REASON_RETAINED);
	CHECK_EQ(decision.n_picks, 1);
	CHECK_EQ(decision.picks[0].pid, 101);
}

static void test_an_unmeasured_member_cannot_give_more_than_it_has(void)
{
	reset();
	add(0, 0, 15)->stats_usec = 0;
	pick(1, REASON_USAGE_HIGH);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);

	members[0].process.swap_bytes = MIB;
	pick(1, REASON_USAGE_HIGH);
	CHECK(decision.act);

	/* Never looked at: then its size says nothing either. */
	members[0].process = (struct process){ .pid = 100 };
	members[0].time_usec = 0;
	pick(1, REASON_USAGE_HIGH);
	CHECK(decision.act);
}

static void test_figures_from_before_the_last_release_count_for_nothing(void)
{
	reset();
	add(0, 800, 900)->last_release_usec = NOW;
	add(1, 20, 30);
	pick(2, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_picks, 2);
	CHECK_EQ(decision.picks[0].pid, 101);
	CHECK_EQ(decision.expected_bytes, 20 * MIB);
	pick(1, REASON_RETAINED);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);

	/* Asked for by the release's own answer: fresh again. */
	members[0].last_release_usec = members[0].stats_usec;
	pick(1, REASON_RETAINED);
	CHECK_EQ(decision.expected_bytes, 800 * MIB);
	members[0].retained_bytes = 1;
	pick(1, REASON_USAGE_HIGH);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
}

static void test_another_allocator_makes_a_member_unmeasured(void)
{
	reset();
	add(0, 0, 900)->hello.allocators |= WIRE_ALLOCATOR_JEMALLOC;
	pick(1, REASON_USAGE_HIGH);
	CHECK(decision.act);
	CHECK_EQ(decision.expected_bytes, 0);

	/* Nor do figures without a walk of the heap measure anything. */
	add(0, 0, 900)->stats.flags = WIRE_STATS_RSS;
	pick(1, REASON_USAGE_HIGH);
	CHECK(decision.act);
}

/* Row 46 of the list of hazards. */
static void test_while_calm_a_busy_program_is_not_stalled(void)
{
	reset();
	add(0, 500, 900)->stall_usec = 10 * USEC_PER_MSEC + 1;
	members[0].busy_permyriad = 500;
	pick(1, REASON_RETAINED);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_STALL);

	members[0].busy_permyriad = 499;
	pick(1, REASON_RETAINED);
	CHECK(decision.act);

	members[0].busy_permyriad = 500;
	members[0].stall_usec = 10 * USEC_PER_MSEC;
	pick(1, REASON_RETAINED);
	CHECK(decision.act);
}

static void test_who_is_left_out_for_its_stall_does_not_stop_the_others(void)
{
	reset();
	add(0, 500, 900)->stall_usec = USEC_PER_SEC;
	members[0].busy_permyriad = 9000;
	add(1, 20, 100);
	add(2, 1, 100);
	pick(3, REASON_RETAINED);
	CHECK_EQ(decision.n_picks, 1);
	CHECK_EQ(decision.picks[0].pid, 101);

	/* Among the left out the stall is the more telling reason. */
	members[1].retained_bytes = 1;
	pick(3, REASON_RETAINED);
	CHECK_EQ(decision.reason, REASON_STALL);
}

static void test_under_pressure_and_by_method_full_the_budget_is_ignored(void)
{
	reset();
	add(0, 500, 900)->stall_usec = USEC_PER_SEC;
	members[0].busy_permyriad = 9000;
	for (size_t i = 0; i < ARRAY_SIZE(pressing); i++) {
		pick(1, pressing[i]);
		CHECK(decision.act);
	}

	settings.method = METHOD_FULL;
	pick(1, REASON_RETAINED);
	CHECK(decision.act);
}

static void test_observe_names_whom_it_would_ask(void)
{
	reset();
	settings.mode = MODE_OBSERVE;
	add(0, 500, 900);
	pick(1, REASON_USAGE_CRITICAL);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_OBSERVE);
	CHECK_EQ(decision.n_picks, 1);
	CHECK_EQ(decision.picks[0].pid, 100);
	CHECK_EQ(decision.expected_bytes, 500 * MIB);

	/* Where there is nobody to ask the mode makes no difference. */
	members[0].retained_bytes = 0;
	pick(1, REASON_USAGE_HIGH);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
}

static void test_of_too_many_the_largest_are_kept_in_order(void)
{
	reset();
	/* Every size once, in an order that is neither up nor down. */
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		add(i, 100 + i * 77 % MEMBERS_MAX, 900);
	pick(MEMBERS_MAX, REASON_USAGE_HIGH);

	CHECK_EQ(decision.n_picks, DECISION_PICKS_MAX);
	for (size_t i = 0; i < DECISION_PICKS_MAX; i++)
		CHECK_EQ(decision.picks[i].expected_bytes, (99 + MEMBERS_MAX - i) * MIB);
}

static void test_exactly_as_many_as_fit_are_all_kept(void)
{
	reset();
	for (size_t i = 0; i < DECISION_PICKS_MAX + 1; i++)
		add(i, 100 + i, 900);
	pick(DECISION_PICKS_MAX, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_picks, DECISION_PICKS_MAX);
	CHECK_EQ(decision.picks[DECISION_PICKS_MAX - 1].pid, 100);

	pick(DECISION_PICKS_MAX + 1, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_picks, DECISION_PICKS_MAX);
	CHECK_EQ(decision.picks[0].pid, 100 + DECISION_PICKS_MAX);
	CHECK_EQ(decision.picks[DECISION_PICKS_MAX - 1].pid, 101);
}

static void test_who_is_stopped_is_asked_by_command_only(void)
{
	reset();
	add(0, 100, 900)->process.state = 'T';
	add(1, 101, 800)->process.state = 't';
	add(2, 102, 700);
	pick(3, REASON_USAGE_CRITICAL);
	CHECK_EQ(decision.n_picks, 1);
	CHECK_EQ(decision.picks[0].pid, 102);

	pick(3, REASON_COMMAND);
	CHECK_EQ(decision.n_picks, 3);
}

static void test_boundless_claims_do_not_overflow(void)
{
	reset();
	for (size_t i = 0; i < 3; i++) {
		add(i, 0, 0)->retained_bytes = UINT64_MAX;
		members[i].process.rss_bytes = members[i].process.swap_bytes = UINT64_MAX;
		members[i].stall_usec = UINT32_MAX;
	}
	members[2].stats_usec = 0;
	settings.min_release_bytes = UINT64_MAX;
	pick(3, REASON_USAGE_HIGH);
	CHECK_EQ(decision.n_picks, 3);
	CHECK(decision.expected_bytes == UINT64_MAX);
}

static void test_who_tells_nothing_is_tried_once_it_has_grown_and_rests(void)
{
	struct member *m;

	reset();
	m = add(0, 0, 400);
	m->hello.allocators |= m->hello.malloc_owner = WIRE_ALLOCATOR_MIMALLOC;
	m->process.anon_bytes = 16 * MIB;
	/* One on glibc has told what it retains: too little, or else the reason would be another. */
	add(1, 100, 900)->process.anon_bytes = 900 * MIB;
	pick(2, REASON_UNTOLD);
	CHECK(decision.act);
	CHECK_EQ(decision.reason, REASON_UNTOLD);
	CHECK_EQ(decision.n_picks, 1);
	CHECK_EQ(decision.picks[0].pid, 100);
	CHECK_EQ(decision.picks[0].method, METHOD_FULL);
	CHECK_EQ(decision.picks[0].expected_bytes, 0);
	/* Its figures are none, and for what others retain nobody asks it. */
	pick(1, REASON_RETAINED);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);

	/* Since it was last asked, that is. */
	m->rested_bytes = 1;
	pick(2, REASON_UNTOLD);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
	m->process.anon_bytes++;
	pick(2, REASON_UNTOLD);
	CHECK_EQ(decision.n_picks, 1);

	/* Half a percent of a CPU is work. */
	m->busy_permyriad = 50;
	pick(2, REASON_UNTOLD);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
	m->busy_permyriad = 49;
	pick(2, REASON_UNTOLD);
	CHECK_EQ(decision.n_picks, 1);

	/* Nobody has looked at it yet. */
	m->time_usec = 0;
	pick(2, REASON_UNTOLD);
	CHECK_EQ(decision.reason, REASON_NOT_WORTH);
}

int main(void)
{
	RUN(test_the_largest_expectation_is_asked_first);
	RUN(test_equal_expectations_are_ordered_by_rss_then_pid);
	RUN(test_who_gives_most_for_its_stall_is_asked_first);
	RUN(test_many_small_ones_do_not_come_before_a_large_one);
	RUN(test_too_small_is_not_worth_it);
	RUN(test_nothing_is_never_worth_it_even_if_min_release_is_zero);
	RUN(test_critical_asks_everybody_in_order);
	RUN(test_a_command_asks_everybody_who_can_be);
	RUN(test_who_cannot_be_asked_is_left_out);
	RUN(test_nobody_there_is_said_so);
	RUN(test_unmeasured_members_come_last_by_rss);
	RUN(test_growth_since_the_figures_may_be_given_back_too);
	RUN(test_below_usage_high_nobody_is_asked_just_to_learn);
	RUN(test_while_calm_nobody_is_asked_just_to_learn);
	RUN(test_an_unmeasured_member_cannot_give_more_than_it_has);
	RUN(test_figures_from_before_the_last_release_count_for_nothing);
	RUN(test_another_allocator_makes_a_member_unmeasured);
	RUN(test_while_calm_a_busy_program_is_not_stalled);
	RUN(test_who_is_left_out_for_its_stall_does_not_stop_the_others);
	RUN(test_under_pressure_and_by_method_full_the_budget_is_ignored);
	RUN(test_observe_names_whom_it_would_ask);
	RUN(test_of_too_many_the_largest_are_kept_in_order);
	RUN(test_exactly_as_many_as_fit_are_all_kept);
	RUN(test_who_is_stopped_is_asked_by_command_only);
	RUN(test_boundless_claims_do_not_overflow);
	RUN(test_who_tells_nothing_is_tried_once_it_has_grown_and_rests);

	return TEST_RESULT();
}
