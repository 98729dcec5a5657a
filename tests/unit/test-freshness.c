/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/policy/freshness.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

#define SEC(n) ((uint64_t)(n)*USEC_PER_SEC)
#define NOW SEC(1000)

/* Calm for a minute, statistics 5 s old, and nothing happened since. */
static const struct group_settings none;
static struct group group = { .settings = &none, .trend = { .steady_since_usec = NOW - SEC(950) } };
static struct member member = {
	.process = { .rss_bytes = 100 * MIB, .cpu_usec = SEC(3), .n_threads = 1 },
	.stats = { .rss = 100 * MIB, .heap_usec = 1000 },
	.stats_usec = NOW - SEC(5),
};

static void test_nothing_known_is_always_due(void)
{
	struct member fresh = member;

	fresh.stats_usec = 0;
	CHECK(freshness_is_due(&group, &fresh, 0, 1, NOW));
}

static void test_nothing_happened_is_never_due(void)
{
	struct member old = member;

	old.stats_usec = NOW - SEC(900);
	CHECK(!freshness_is_due(&group, &old, old.process.cpu_usec, 1, NOW));
}

static void test_a_mass_free_shows_in_cpu_time_only(void)
{
	CHECK(freshness_is_due(&group, &member, member.process.cpu_usec - 50000, 1, NOW));
}

static void test_the_end_of_threads_is_due_their_beginning_is_not(void)
{
	const uint64_t cpu_usec = member.process.cpu_usec;

	CHECK(freshness_is_due(&group, &member, cpu_usec, 2, NOW + SEC(5)));
	CHECK(!freshness_is_due(&group, &member, cpu_usec, 0, NOW + SEC(5)));
}

/* In some programs a thread ends every other second, and no walk over the heap is due for that. */
static void test_the_end_of_threads_is_awaited_after_a_release_only(void)
{
	const uint64_t cpu_usec = member.process.cpu_usec;
	struct member released = member;

	CHECK(!freshness_is_due(&group, &member, cpu_usec, 2, NOW + SEC(5) - 1));
	released.last_release_usec = NOW - SEC(59);
	CHECK(freshness_is_due(&group, &released, cpu_usec, 2, NOW));
	released.last_release_usec = NOW - SEC(60);
	CHECK(!freshness_is_due(&group, &released, cpu_usec, 2, NOW));
}

static void test_figures_from_a_burst_are_stale_once_it_is_over(void)
{
	struct group calm = group;

	calm.trend.steady_since_usec = NOW - SEC(4);
	CHECK(freshness_is_due(&calm, &member, member.process.cpu_usec, 1, NOW));
}

static void test_rss_that_moved_is_due_in_both_directions(void)
{
	struct member moved = member;

	moved.process.rss_bytes = 140 * MIB;
	CHECK(freshness_is_due(&group, &moved, moved.process.cpu_usec, 1, NOW));
	moved.process.rss_bytes = 60 * MIB;
	CHECK(freshness_is_due(&group, &moved, moved.process.cpu_usec, 1, NOW));
}

static void test_a_restless_group_is_asked_rarely(void)
{
	struct group restless = group;
	struct member moved = member;

	restless.trend.steady_since_usec = NOW;
	moved.process.rss_bytes = 400 * MIB;
	CHECK(!freshness_is_due(&restless, &moved, moved.process.cpu_usec, 1, NOW));
	CHECK(freshness_is_due(&restless, &moved, moved.process.cpu_usec, 1, NOW + SEC(30)));
}

static void test_a_busy_program_is_asked_less_often(void)
{
	struct member busy = member;

	busy.busy_permyriad = 5000;
	CHECK(!freshness_is_due(&group, &busy, 0, 1, NOW));
	CHECK(freshness_is_due(&group, &busy, 0, 1, NOW + SEC(6)));
}

static void test_a_costly_walk_stretches_the_gap(void)
{
	struct member costly = member;

	costly.busy_permyriad = 5000;
	costly.stats.heap_usec = 200000;
	CHECK(!freshness_is_due(&group, &costly, 0, 1, NOW + SEC(20)));
	CHECK(freshness_is_due(&group, &costly, 0, 1, NOW + SEC(60)));
}

static void test_an_idle_program_is_not_stalled_for_more_than_a_small_share_of_its_time(void)
{
	struct member idle = member;

	/* 100 ms in one arena. */
	idle.stats.n_free = idle.stats.largest_n_free = 4000 * 1000;
	CHECK(!freshness_is_due(&group, &idle, 0, 1, NOW));
	CHECK(!freshness_is_due(&group, &idle, 0, 1, NOW + SEC(14)));
	CHECK(freshness_is_due(&group, &idle, 0, 1, NOW + SEC(15)));
	/* Spread over many, nobody waits for all of it. */
	idle.stats.largest_n_free /= 64;
	CHECK(freshness_is_due(&group, &idle, 0, 1, NOW));
}

static void test_an_idle_program_does_not_pay_for_a_walk_that_had_to_wait(void)
{
	struct member idle = member;

	idle.stats.heap_usec = 200000;
	CHECK(freshness_is_due(&group, &idle, 0, 1, NOW));
}

static void test_the_residue_is_due_whatever_happened(void)
{
	struct member released = member;

	released.residue_due = true;
	CHECK(freshness_is_due(&group, &released, released.process.cpu_usec, 1, NOW));
}

static void test_an_agent_under_a_filter_is_never_asked(void)
{
	struct member filtered = member;

	filtered.stats_usec = 0;
	filtered.seccomp_changed = true;
	CHECK(!freshness_is_due(&group, &filtered, 0, 1, NOW));
}

/* Less CPU time than a tick shows: only the figures tell that half of it is free now. */
static void test_near_the_limit_figures_are_asked_for_whatever_shows(void)
{
	const struct group_settings settings = { .usage_high_permyriad = 8000 };
	struct group near = group;
	struct member quiet = member;
	const uint64_t cpu_usec = member.process.cpu_usec;

	near.settings = &settings;
	near.reading.limit_bytes = 100 * MIB;
	near.reading.anon_bytes = 80 * MIB;
	quiet.busy_permyriad = 5000;
	CHECK(freshness_is_due(&near, &quiet, cpu_usec, 1, NOW));
	CHECK(!freshness_is_due(&near, &quiet, cpu_usec, 1, NOW - 1));

	/* Sooner where something shows, also while usage moves. */
	near.trend.steady_since_usec = NOW;
	quiet.stats_usec = NOW - SEC(1);
	CHECK(freshness_is_due(&near, &quiet, 0, 1, NOW));
	CHECK(!freshness_is_due(&near, &quiet, 0, 1, NOW - 1));

	/* And never so often that it is felt. */
	quiet.stats.heap_usec = 20000;
	CHECK(!freshness_is_due(&near, &quiet, 0, 1, NOW + SEC(2)));
	CHECK(freshness_is_due(&near, &quiet, 0, 1, NOW + SEC(3)));

	/* Once it is idle, a walk that had to wait for its threads is no reason to look away. */
	quiet.stats.heap_usec = 256000;
	quiet.busy_permyriad = 0;
	CHECK(freshness_is_due(&near, &quiet, 0, 1, NOW));
	quiet.stats.largest_n_free = 4000 * 1000;
	CHECK(!freshness_is_due(&near, &quiet, 0, 1, NOW + SEC(18)));
	CHECK(freshness_is_due(&near, &quiet, 0, 1, NOW + SEC(19)));

	near.reading.anon_bytes = 80 * MIB - 1;
	CHECK(!freshness_is_due(&near, &member, cpu_usec, 1, NOW));
	near.reading.anon_bytes = UINT64_MAX;
	near.reading.limit_bytes = BYTES_INFINITY;
	CHECK(!freshness_is_due(&near, &member, cpu_usec, 1, NOW - SEC(1)));
}

/* At work; 100,000 free chunks in two arenas, read in 24 ms. */
static struct member make_dear(void)
{
	struct member dear = member;

	dear.hello.allocators = dear.hello.malloc_owner = WIRE_ALLOCATOR_GLIBC;
	dear.stats.n_anchored = 2;
	dear.stats.heap_usec = 24 * USEC_PER_MSEC;
	dear.stats.n_free = 100000;
	dear.stats.largest_n_free = 50000;
	dear.busy_permyriad = 9000;
	return dear;
}

static void test_a_look_is_dear_where_it_would_be_felt(void)
{
	struct group_settings settings = { .stall_budget_usec = 20 * USEC_PER_MSEC };
	struct group felt = { .settings = &settings };
	struct member dear = make_dear();

	CHECK(freshness_is_dear(&felt, &dear));
	dear.stats.largest_n_free = 41666; /* 9,999 us */
	CHECK(!freshness_is_dear(&felt, &dear));
	settings.stall_budget_usec = 19 * USEC_PER_MSEC;
	CHECK(freshness_is_dear(&felt, &dear));

	dear.busy_permyriad = 0;
	CHECK(!freshness_is_dear(&felt, &dear));
	dear.busy_permyriad = 50;
	CHECK(freshness_is_dear(&felt, &dear));
	/* Whoever cannot be borrowed from is to be known. */
	dear.stats.n_anchored = 0;
	CHECK(!freshness_is_dear(&felt, &dear));
}

/* Its release was not felt, so the look after it shall not be; but near the limit it may save it. */
static void test_the_residue_waits_where_a_look_would_be_felt(void)
{
	const struct group_settings settings = { .usage_high_permyriad = 8000 };
	struct group near = { .settings = &settings, .trend = group.trend };
	struct member dear = make_dear();
	const uint64_t then_usec = dear.process.cpu_usec;

	dear.residue_due = true;
	near.reading.limit_bytes = 1000 * MIB;
	near.reading.anon_bytes = 799 * MIB;
	CHECK(!freshness_is_due(&near, &dear, then_usec, 1, NOW));
	near.reading.anon_bytes = 800 * MIB;
	CHECK(freshness_is_due(&near, &dear, then_usec, 1, NOW));

	/* It is not forgotten: 12 ms that are felt, one part in 4,000. */
	near.reading.anon_bytes = 799 * MIB;
	CHECK(!freshness_is_due(&near, &dear, then_usec - SEC(1), 1, NOW + SEC(43) - 1));
	CHECK(freshness_is_due(&near, &dear, then_usec - SEC(1), 1, NOW + SEC(43)));
}

static void test_looks_that_are_felt_are_rare_unless_it_is_near_the_limit(void)
{
	const struct group_settings settings = { .usage_high_permyriad = 8000 };
	struct group calm = { .settings = &settings, .trend = group.trend,
			      .reading.limit_bytes = BYTES_INFINITY };
	struct group restless = calm, near;
	struct member dear = make_dear();
	const uint64_t then_usec = dear.process.cpu_usec - SEC(1);

	CHECK(!freshness_is_due(&calm, &dear, then_usec, 1, NOW + SEC(43) - 1));
	CHECK(freshness_is_due(&calm, &dear, then_usec, 1, NOW + SEC(43)));
	/* Not more often where usage moves, either. */
	restless.trend.steady_since_usec = NOW + SEC(40);
	CHECK(!freshness_is_due(&restless, &dear, then_usec, 1, NOW + SEC(41)));

	near = calm;
	near.reading.limit_bytes = 1000 * MIB;
	near.reading.anon_bytes = 800 * MIB;
	CHECK(freshness_is_due(&near, &dear, then_usec, 1, NOW));

	/* It has waited rather than walked. */
	dear.stats.heap_usec = 12 * USEC_PER_SEC;
	CHECK(!freshness_is_due(&calm, &dear, then_usec, 1, NOW + SEC(595) - 1));
	CHECK(freshness_is_due(&calm, &dear, then_usec, 1, NOW + SEC(595)));

	/* Nobody is there to feel it. */
	dear.busy_permyriad = 0;
	CHECK(freshness_is_due(&calm, &dear, then_usec, 1, NOW));
}

int main(void)
{
	RUN(test_nothing_known_is_always_due);
	RUN(test_nothing_happened_is_never_due);
	RUN(test_a_mass_free_shows_in_cpu_time_only);
	RUN(test_the_end_of_threads_is_due_their_beginning_is_not);
	RUN(test_the_end_of_threads_is_awaited_after_a_release_only);
	RUN(test_figures_from_a_burst_are_stale_once_it_is_over);
	RUN(test_rss_that_moved_is_due_in_both_directions);
	RUN(test_a_restless_group_is_asked_rarely);
	RUN(test_a_busy_program_is_asked_less_often);
	RUN(test_a_costly_walk_stretches_the_gap);
	RUN(test_an_idle_program_is_not_stalled_for_more_than_a_small_share_of_its_time);
	RUN(test_an_idle_program_does_not_pay_for_a_walk_that_had_to_wait);
	RUN(test_the_residue_is_due_whatever_happened);
	RUN(test_a_look_is_dear_where_it_would_be_felt);
	RUN(test_the_residue_waits_where_a_look_would_be_felt);
	RUN(test_looks_that_are_felt_are_rare_unless_it_is_near_the_limit);
	RUN(test_an_agent_under_a_filter_is_never_asked);
	RUN(test_near_the_limit_figures_are_asked_for_whatever_shows);
	return TEST_RESULT();
}
