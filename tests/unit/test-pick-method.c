/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* By which method whoever is asked is released, and why by that one. */

#include "tests/unit/pick-fixture.h"

/* At work, with much to give and a long stall; two of its arenas can be borrowed from. */
static struct member *add_busy(size_t i)
{
	struct member *m = add(i, 500, 900);

	m->busy_permyriad = 9000;
	m->stall_usec = 100 * USEC_PER_MSEC;
	m->stats.n_arenas = 3;
	m->stats.n_anchored = 2;
	m->borrow = (struct forecast){
		.bytes = 300 * MIB,
		.stall_usec = 2 * USEC_PER_MSEC,
		.usec = 400 * USEC_PER_MSEC,
	};
	return m;
}

static void check_method(enum reason trigger, enum method method, enum why why)
{
	pick(1, trigger);
	CHECK(decision.act);
	CHECK_STR(method_to_string(decision.picks[0].method), method_to_string(method));
	CHECK_STR(why_to_string(decision.picks[0].why), why_to_string(why));
}

static void test_a_stall_that_fits_or_that_nobody_feels_is_accepted(void)
{
	reset();
	add_busy(0)->stall_usec = 10 * USEC_PER_MSEC;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_FITS);
	members[0].stall_usec++;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
	members[0].busy_permyriad = 49;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_IDLE);
}

static void test_old_figures_do_not_say_that_a_stall_fits(void)
{
	reset();
	add_busy(0)->stall_usec = USEC_PER_MSEC;
	members[0].borrow.bytes = members[0].retained_bytes;
	members[0].stats.rss = 512 * MIB;
	members[0].process.rss_bytes = 576 * MIB - 1;
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_FITS);
	members[0].process.rss_bytes++;
	check_method(REASON_USAGE_HIGH, METHOD_BORROW, WHY_UNKNOWN);
	members[0].process.rss_bytes = 448 * MIB;
	check_method(REASON_USAGE_HIGH, METHOD_BORROW, WHY_UNKNOWN);
	check_method(REASON_USAGE_CRITICAL, METHOD_FULL, WHY_FITS);

	members[0].busy_permyriad = 0;
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_FITS);
	members[0].busy_permyriad = 5000;
	members[0].borrow.bytes /= 2;
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_FITS);
}

static void test_what_has_come_since_the_figures_takes_its_time_to_borrow(void)
{
	reset();
	group.trend = (struct trend){ .time_usec = NOW, .eta_usec = 100 * USEC_PER_MSEC };
	add_busy(0)->borrow_usec_per_mib = 1000;
	members[0].borrow.usec = 10 * USEC_PER_MSEC;
	members[0].stats.rss = members[0].process.rss_bytes;
	check_method(REASON_USAGE_HIGH, METHOD_BORROW, WHY_STALL);
	members[0].process.rss_bytes += 40 * MIB;
	check_method(REASON_USAGE_HIGH, METHOD_BORROW, WHY_STALL);
	members[0].process.rss_bytes += MIB;
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_URGENT);
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
}

static void test_who_serves_a_request_now_and_then_is_spared_the_stall(void)
{
	reset();
	group.reading.limit_bytes = 400 * MIB;
	group.reading.anon_bytes = 300 * MIB;
	add_busy(0)->busy_permyriad = 50;
	members[0].borrow.bytes = members[0].retained_bytes / 2;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
	check_method(REASON_USAGE_HIGH, METHOD_BORROW, WHY_STALL);
	check_method(REASON_USAGE_CRITICAL, METHOD_FULL, WHY_URGENT);

	/* Where it cannot be, it is as idle as any other. */
	members[0].stats.n_anchored = 0;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_IDLE);
}

static void test_who_is_idle_is_borrowed_from_where_that_gives_as_much(void)
{
	reset();
	add_busy(0)->busy_permyriad = 0;
	members[0].borrow.bytes = members[0].retained_bytes / 8 * 7;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
	check_method(REASON_COMMAND, METHOD_BORROW, WHY_STALL);
	check_method(REASON_USAGE_CRITICAL, METHOD_FULL, WHY_URGENT);

	/* Near enough to the limit for a burst to reach it, all is given back at once. */
	group.reading.limit_bytes = 400 * MIB;
	group.reading.anon_bytes = 100 * MIB;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
	group.reading.anon_bytes++;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_IDLE);
	group.reading.anon_bytes--;

	/* Page cache makes room; what others have of the limit does not. */
	group.reading.usage_bytes = 400 * MIB;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
	group.reading.others_bytes = 1;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_IDLE);
	group.reading.others_bytes = 0;
	members[0].borrow.bytes--;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_IDLE);
}

static void test_tops_are_borrowed_whatever_it_stalls(void)
{
	reset();
	add_busy(0)->busy_permyriad = 0;
	members[0].borrow.bytes = members[0].retained_bytes + 16 * MIB;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_TOPS);
	members[0].stall_usec = 0;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_TOPS);
	CHECK_EQ(decision.picks[0].expected_bytes, members[0].borrow.bytes);
	check_method(REASON_USAGE_CRITICAL, METHOD_FULL, WHY_FITS);
	members[0].borrow.bytes--;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_FITS);

	/* A full trim would give next to nothing, also where a kill is near. */
	members[0].stall_usec = 100 * USEC_PER_MSEC;
	members[0].busy_permyriad = 9000;
	members[0].retained_bytes = 16 * MIB;
	check_method(REASON_USAGE_CRITICAL, METHOD_FULL, WHY_URGENT);
	members[0].retained_bytes--;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_TOPS);
	check_method(REASON_USAGE_CRITICAL, METHOD_BORROW, WHY_TOPS);
}

static void test_what_stalls_too_long_is_borrowed(void)
{
	reset();
	add_busy(0);
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
	CHECK_EQ(decision.picks[0].expected_bytes, 300 * MIB);
	CHECK_EQ(decision.picks[0].stall_usec, 2 * USEC_PER_MSEC);
	CHECK_EQ(decision.picks[0].full_stall_usec, 100 * USEC_PER_MSEC);
	CHECK_EQ(decision.expected_bytes, 300 * MIB);
	check_method(REASON_USAGE_HIGH, METHOD_BORROW, WHY_STALL);
	check_method(REASON_PRESSURE, METHOD_BORROW, WHY_STALL);
	check_method(REASON_COMMAND, METHOD_BORROW, WHY_STALL);
}

static void test_near_a_kill_only_speed_counts(void)
{
	reset();
	add_busy(0);
	check_method(REASON_USAGE_CRITICAL, METHOD_FULL, WHY_URGENT);

	group.trend.time_usec = NOW;
	group.trend.eta_usec = USEC_PER_SEC;
	check_method(REASON_OOM_ETA, METHOD_BORROW, WHY_STALL);
	group.trend.eta_usec = 700 * USEC_PER_MSEC;
	check_method(REASON_OOM_ETA, METHOD_FULL, WHY_URGENT);
	/* Growth is no hurry while there is room. */
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_STALL);
	check_method(REASON_LEFT, METHOD_BORROW, WHY_STALL);
}

static void check_cannot_borrow(void)
{
	pick(1, REASON_RETAINED);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_STALL);
	pick(1, REASON_LEFT);
	CHECK(!decision.act);
	CHECK_EQ(decision.reason, REASON_STALL);
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_UNABLE);
	check_method(REASON_COMMAND, METHOD_FULL, WHY_UNABLE);
}

static void test_where_borrowing_does_not_help_calm_groups_wait(void)
{
	reset();
	add_busy(0)->borrow_refused = true;
	check_cannot_borrow();
	add_busy(0)->stats.n_anchored = 0;
	check_cannot_borrow();
	add_busy(0)->borrow.stall_usec = 100 * USEC_PER_MSEC;
	check_cannot_borrow();
	add_busy(0)->borrow.bytes = 15 * MIB;
	check_cannot_borrow();
}

static void test_a_named_method_is_used(void)
{
	reset();
	add_busy(0);
	settings.method = METHOD_FULL;
	check_method(REASON_RETAINED, METHOD_FULL, WHY_SETTING);
	settings.method = METHOD_BORROW;
	check_method(REASON_USAGE_CRITICAL, METHOD_BORROW, WHY_SETTING);
	members[0].stall_usec = 1;
	check_method(REASON_RETAINED, METHOD_BORROW, WHY_SETTING);

	/* A hook that cannot is not asked again, but for a command. */
	members[0].borrow_refused = true;
	pick(1, REASON_USAGE_CRITICAL);
	CHECK_EQ(decision.reason, REASON_NO_MEMBERS);
	check_method(REASON_COMMAND, METHOD_BORROW, WHY_SETTING);
}

static void test_other_allocators_have_one_way(void)
{
	reset();
	settings.method = METHOD_BORROW;
	add_busy(0)->hello.malloc_owner = WIRE_ALLOCATOR_JEMALLOC;
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_NONE);
}

static void test_without_figures_a_full_trim_is_all_there_is(void)
{
	reset();
	add_busy(0)->stats_usec = 0;
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_UNKNOWN);
}

static void test_a_command_does_not_stall_a_busy_program_for_nobody_knows_how_long(void)
{
	reset();
	add_busy(0)->last_release_usec = NOW;
	check_method(REASON_COMMAND, METHOD_BORROW, WHY_UNKNOWN);
	check_method(REASON_USAGE_HIGH, METHOD_FULL, WHY_UNKNOWN);
	check_method(REASON_USAGE_CRITICAL, METHOD_FULL, WHY_UNKNOWN);
	members[0].borrow_refused = true;
	check_method(REASON_COMMAND, METHOD_FULL, WHY_UNKNOWN);
	members[0].borrow_refused = false;
	members[0].busy_permyriad = 0;
	check_method(REASON_COMMAND, METHOD_FULL, WHY_UNKNOWN);
}

static bool needs_figures(enum reason trigger)
{
	pick(1, trigger);
	return pick_needs_figures(&group, &members[0], trigger, &decision.picks[0]);
}

/* What is borrowed from in any case is not stalled by a look before. */
static void test_a_command_asks_for_figures_first_where_they_may_decide(void)
{
	reset();
	add_busy(0)->stall_usec = USEC_PER_MSEC;
	members[0].stats.n_free = members[0].stats.largest_n_free = 1000;
	members[0].stats.heap_usec = 5000;
	CHECK(needs_figures(REASON_COMMAND));
	CHECK(!needs_figures(REASON_RETAINED));

	members[0].stall_usec = 100 * USEC_PER_MSEC;
	check_method(REASON_COMMAND, METHOD_BORROW, WHY_STALL);
	CHECK(needs_figures(REASON_COMMAND));
	members[0].stats.heap_usec++;
	CHECK(!needs_figures(REASON_COMMAND));

	/* Never so where the method hangs on them. */
	members[0].stats.n_anchored = 0;
	CHECK(needs_figures(REASON_COMMAND));
}

/* Nobody knows how long a look would take. */
static void test_who_grew_is_borrowed_from_without_a_look(void)
{
	reset();
	add_busy(0)->stall_usec = USEC_PER_MSEC;
	members[0].borrow.bytes = members[0].retained_bytes;
	members[0].process.rss_bytes *= 2;
	check_method(REASON_COMMAND, METHOD_BORROW, WHY_UNKNOWN);
	CHECK(!needs_figures(REASON_COMMAND));
}

int main(void)
{
	RUN(test_a_command_asks_for_figures_first_where_they_may_decide);
	RUN(test_who_grew_is_borrowed_from_without_a_look);
	RUN(test_a_stall_that_fits_or_that_nobody_feels_is_accepted);
	RUN(test_old_figures_do_not_say_that_a_stall_fits);
	RUN(test_what_has_come_since_the_figures_takes_its_time_to_borrow);
	RUN(test_who_serves_a_request_now_and_then_is_spared_the_stall);
	RUN(test_who_is_idle_is_borrowed_from_where_that_gives_as_much);
	RUN(test_tops_are_borrowed_whatever_it_stalls);
	RUN(test_what_stalls_too_long_is_borrowed);
	RUN(test_near_a_kill_only_speed_counts);
	RUN(test_where_borrowing_does_not_help_calm_groups_wait);
	RUN(test_a_named_method_is_used);
	RUN(test_other_allocators_have_one_way);
	RUN(test_without_figures_a_full_trim_is_all_there_is);
	RUN(test_a_command_does_not_stall_a_busy_program_for_nobody_knows_how_long);

	return TEST_RESULT();
}
