/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verdicts on groups, by the sums of their members' figures. */

#include "tests/unit/verdict-fixture.h"

static void test_unmeasured_is_unknown(void)
{
	struct group g = group_of(0, 0, 0);

	sums.heap.time_usec = 0;
	CHECK_STR(name(&g), "unknown");
	g = group_of(900, 0, 0);
	g.reading.time_usec = 0;
	CHECK_STR(name(&g), "unknown");
}

static void test_in_use_below_the_limit_is_healthy(void)
{
	const struct group g = group_of(900, 50, 60);

	CHECK_STR(name(&g), "healthy");
}

static void test_a_quarter_held_is_retained(void)
{
	struct group g = group_of(700, 250, 250);

	CHECK_STR(name(&g), "retained");
	g = group_of(700, 249, 249);
	CHECK_STR(name(&g), "healthy");

	/* Where the limit is far not below the absolute bound. */
	g = group_of(50, 63, 63);
	g.reading.anon_bytes = 120 * MIB;
	CHECK_STR(name(&g), "healthy");
	sums.heap.retained_bytes = 64 * MIB;
	CHECK_STR(name(&g), "retained");
	settings.retained_high_bytes = 100 * MIB;
	CHECK_STR(name(&g), "healthy");
}

/* 40 MiB of 48, as of a unit with MemoryMax=48M. */
static struct group small_group_of(uint64_t in_use_mib, uint64_t retained_mib, uint64_t unused_mib)
{
	struct group g = group_of(in_use_mib, retained_mib, unused_mib);

	g.reading.anon_bytes = 40 * MIB;
	g.reading.limit_bytes = 48 * MIB;
	settings.retained_high_bytes = 64 * MIB;
	return g;
}

static void test_in_a_small_group_a_part_of_the_limit_is_enough(void)
{
	struct group g = small_group_of(5, 30, 30);
	struct member m;

	CHECK_STR(name(&g), "retained");
	CHECK(has_advice(ADVICE_RELEASE));
	CHECK(has_fact(FACT_LIMIT_BYTES, 48 * MIB));
	g = small_group_of(24, 12, 12);
	CHECK_STR(name(&g), "retained");
	g = small_group_of(24, 11, 11);
	CHECK_STR(name(&g), "healthy");
	g = small_group_of(5, 1, 30);
	CHECK_STR(name(&g), "fragmented");

	/* Its one process is what it is. */
	g = small_group_of(5, 30, 30);
	m = process_of(40, 36, 6, 30);
	m.process.rss_bytes = m.stats.rss = 45 * MIB;
	verdict_member(&g, &m, &alerts, NOW_USEC, &d);
	CHECK_STR(verdict_to_string(d.verdict), "retained");

	/* A trifle is none of any limit; and without one there is no part of it. */
	g = small_group_of(2, 3, 3);
	g.reading.anon_bytes = 6 * MIB;
	g.reading.limit_bytes = 8 * MIB;
	CHECK_STR(name(&g), "healthy");
	g = small_group_of(5, 30, 30);
	g.reading.limit_bytes = BYTES_INFINITY;
	CHECK_STR(name(&g), "healthy");
}

static void test_a_release_that_paid_is_evidence_of_retention(void)
{
	struct group g = group_of(700, 0, 100);

	benefit.n_rounds = 1;
	benefit.last_round_usec = 5;
	benefit.last_usage_bytes = 750 * MIB;
	benefit.last_released_bytes = 250 * MIB;
	CHECK_STR(name(&g), "retained");
	benefit.last_released_bytes = 249 * MIB;
	CHECK_STR(name(&g), "healthy");
}

/* All that a group can have to be told of. */
static void has_everything(void)
{
	sums.release_usec = 5;
	sums.before_bytes = 1000 * MIB;
	sums.released_bytes = 20 * MIB;
	sums.expected_bytes = 300 * MIB;
	sums.swap_bytes = 90 * MIB;
	sums.use.swapped_free_bytes = 80 * MIB;
	sums.huge_bytes = 400 * MIB;
	sums.n_arenas = 8;
	sums.n_threads = 8;
	benefit.n_rounds = 1;
	benefit.last_round_usec = benefit.look_usec = 5;
	benefit.last_usage_bytes = 1000 * MIB;
	benefit.returned_bytes = 10 * MIB;
}

static void test_no_evidence_is_left_out(void)
{
	struct group g = group_of(600, 300, 300);

	has_everything();
	sums.released_bytes = 280 * MIB;
	CHECK_STR(name(&g), "retained");
	CHECK_EQ(d.n_evidence, 9);
	CHECK_EQ(d.evidence[8].fact, FACT_HUGE_BYTES);

	g = group_of(300, 10, 600);
	has_everything();
	CHECK_STR(name(&g), "fragmented");
	CHECK_EQ(d.n_evidence, 9);
	CHECK_EQ(d.evidence[8].fact, FACT_HUGE_BYTES);
}

static void test_mostly_in_use_near_the_limit_is_growing(void)
{
	struct group g = group_of(1120, 0, 100);

	g.reading.anon_bytes = 1600 * MIB;
	CHECK_STR(name(&g), "growing");
	sums.use.in_use_bytes -= 1;
	CHECK_STR(name(&g), "healthy");
	/* Since then it has grown. */
	sums.use.grown_bytes = 1;
	CHECK_STR(name(&g), "growing");
	sums.use.grown_bytes = 0;
	sums.use.in_use_bytes += 1;
	g.reading.limit_bytes = BYTES_INFINITY;
	CHECK_STR(name(&g), "healthy");
	g.reading.limit_bytes = 2000 * MIB;
	settings.usage_high_permyriad = 0;
	CHECK_STR(name(&g), "healthy");
}

static void test_who_fills_the_limit_alone_is_what_its_group_is(void)
{
	struct member m = process_of(480, 470, 460, 2);
	struct group g = group_of(460, 2, 10);

	verdict_sum(&sums, &m, METHOD_AUTO);
	g.reading.anon_bytes = 470 * MIB;
	for (uint64_t limit_mib = 500; limit_mib <= 5000; limit_mib += 4500) {
		g.reading.limit_bytes = limit_mib * MIB;
		verdict_member(&g, &m, &alerts, NOW_USEC, &d);
		CHECK_STR(verdict_to_string(d.verdict), limit_mib == 500 ? "growing" : "healthy");
		CHECK(has_fact(FACT_LIMIT_BYTES, limit_mib * MIB));
		CHECK_STR(verdict_to_string(d.verdict), name(&g));
	}
}

/* "Healthy" is no word to stand in an alert that a kill is near. */
static void test_who_is_on_the_way_to_a_near_kill_is_growing(void)
{
	struct member m = process_of(56, 55, 54, 0), small = process_of(12, 11, 10, 0);
	struct group g = group_of(54, 0, 1);

	g.reading.anon_bytes = 56 * MIB;
	g.reading.limit_bytes = 120 * MIB;
	CHECK_STR(name(&g), "healthy");
	alerts.told = UINT32_C(1) << ALERT_KILL_NEAR;
	CHECK_STR(name(&g), "growing");
	CHECK_EQ(d.confidence_percent, 40);
	CHECK(has_advice(ADVICE_HEAPTRACK));

	verdict_member(&g, &m, &alerts, NOW_USEC, &d);
	CHECK_STR(verdict_to_string(d.verdict), "growing");
	verdict_member(&g, &small, &alerts, NOW_USEC, &d);
	CHECK_STR(verdict_to_string(d.verdict), "healthy");

	/* Whose memory is not in use is another matter. */
	sums.use.in_use_bytes = 30 * MIB;
	CHECK_STR(name(&g), "healthy");
}

/* Who watched it for long knows more, but at the limit itself nobody can wait. */
static void test_near_the_limit_a_flat_floor_is_healthy_and_no_other(void)
{
	struct group g = group_of(1500, 0, 100);

	g.reading.anon_bytes = 1600 * MIB;
	settings.usage_critical_permyriad = 9200;
	sums.n_judged = 1;
	CHECK_STR(name(&g), "healthy");
	CHECK_EQ(d.advice[0], ADVICE_RAISE_LIMIT);
	/* It was flat for long, and that is over. */
	sums.n_rising = 1;
	CHECK_STR(name(&g), "growing");
	CHECK_EQ(d.confidence_percent, 40);
	sums.n_rising = 0;
	g.reading.anon_bytes = 1840 * MIB;
	CHECK_STR(name(&g), "growing");
	/* Where both are off there is the limit all the same. */
	settings.usage_high_permyriad = settings.usage_critical_permyriad = 0;
	CHECK_STR(name(&g), "healthy");
	g.reading.anon_bytes = 1900 * MIB;
	CHECK_STR(name(&g), "growing");
}

static void check_is_told_to_do_something(const struct group *group)
{
	static const struct member member = { .stats_usec = 1 };

	verdict_member(group, &member, &alerts, 10, &d);
	CHECK_EQ(d.advice[0], ADVICE_RAISE_LIMIT);
	CHECK_STR(name(group), "healthy");
	CHECK_EQ(d.advice[0], ADVICE_RAISE_LIMIT);
}

static void test_who_is_short_of_memory_is_told_to_do_something(void)
{
	struct group g = group_of(900, 50, 60);

	CHECK_STR(name(&g), "healthy");
	CHECK_EQ(d.advice[0], ADVICE_NONE);
	g.reading.others_bytes = 600 * MIB;
	check_is_told_to_do_something(&g);

	/* So much that the rest will be gone within a minute. */
	g = group_of(900, 50, 60);
	g.trend.growth_bytes_per_sec = 20 * MIB;
	g.trend.eta_usec = 50 * USEC_PER_SEC;
	check_is_told_to_do_something(&g);

	/* Little of it in use, and that is nobody's fault. */
	g = group_of(1000, 100, 100);
	g.reading.anon_bytes = 1700 * MIB;
	check_is_told_to_do_something(&g);

	/* Killed, and begun again. */
	g = group_of(900, 50, 60);
	alerts.killed_usec = 5;
	alerts.killed_limit_bytes = 2000 * MIB;
	check_is_told_to_do_something(&g);
	CHECK_EQ(d.killed_usec, 5);
}

static void check_advice_after(const struct group *group, uint64_t now_usec, enum advice advice)
{
	verdict_group(group, &sums, &alerts, now_usec, &d);
	CHECK_STR(verdict_to_string(d.verdict), "healthy");
	CHECK_EQ(d.advice[0], advice);
}

static void test_a_kill_says_something_for_a_day_and_of_that_limit(void)
{
	const uint64_t day_usec = 24 * 3600 * USEC_PER_SEC;
	struct group g = group_of(900, 50, 60);

	alerts.killed_usec = 5;
	alerts.killed_limit_bytes = 2000 * MIB;
	check_advice_after(&g, day_usec + 4, ADVICE_RAISE_LIMIT);
	check_advice_after(&g, day_usec + 5, ADVICE_NONE);

	/* What was advised is done. */
	g.reading.limit_bytes = 2000 * MIB + 1;
	check_advice_after(&g, NOW_USEC, ADVICE_NONE);
	/* But not of whose limit it was. */
	g.limit_level = 1;
	check_advice_after(&g, NOW_USEC, ADVICE_RAISE_LIMIT);
	/* Nor of one that is lower now. */
	g.limit_level = 0;
	g.reading.limit_bytes = 1900 * MIB;
	check_advice_after(&g, NOW_USEC, ADVICE_RAISE_LIMIT);
}

static void test_who_was_killed_after_a_release_had_more_than_it_gave(void)
{
	struct group g = group_of(900, 50, 60);

	benefit.n_rounds = 1;
	benefit.last_round_usec = 5;
	benefit.last_usage_bytes = benefit.last_released_bytes = 1000 * MIB;
	CHECK_STR(name(&g), "retained");
	alerts.killed_usec = 4;
	alerts.killed_limit_bytes = 2000 * MIB;
	CHECK_STR(name(&g), "retained");
	alerts.killed_usec = 5;
	check_is_told_to_do_something(&g);

	/* By the figures of its members, too. */
	benefit = (struct benefit){ 0 };
	sums.release_usec = 6;
	sums.before_bytes = sums.released_bytes = 100 * MIB;
	CHECK_STR(name(&g), "retained");
	alerts.killed_usec = 6;
	check_is_told_to_do_something(&g);
}

static void test_right_after_a_kill_figures_may_be_of_who_was_killed(void)
{
	struct group g = group_of(4, 0, 0);

	g.reading.anon_bytes = 6 * MIB;
	alerts.killed_usec = NOW_USEC - 1;
	alerts.killed_limit_bytes = 2000 * MIB;
	CHECK_STR(name(&g), "unknown");
	CHECK_EQ(d.advice[0], ADVICE_MEASURE);
	CHECK_EQ(d.advice[1], ADVICE_RAISE_LIMIT);
	/* Of the others who are left. */
	alerts.killed_usec = NOW_USEC - USEC_PER_SEC;
	CHECK_STR(name(&g), "healthy");

	/* Nobody is left, and however long that is ago: who ended with the kill. */
	alerts.killed_usec = 5;
	g.reading.time_usec = 6;
	verdict_leave(&sums, &g.reading);
	CHECK_STR(name(&g), "unknown");
	alerts.killed_usec = 0;
	CHECK_STR(name(&g), "healthy");

	/* Read, and told to nobody yet. */
	g.reading.n_oom_kill++;
	CHECK_STR(name(&g), "unknown");
	CHECK_EQ(d.killed_usec, 6);
}

static void test_an_empty_group_is_judged_as_of_its_last_member(void)
{
	struct group g = group_of(900, 50, 60);

	/* It filled its limit when it ended. */
	g.reading.limit_bytes = 1000 * MIB;
	verdict_leave(&sums, &g.reading);
	g.reading.anon_bytes = 4 * KIB;
	CHECK_STR(name(&g), "growing");
	CHECK_EQ(d.confidence_percent, 40);

	/* Two thirds of the limit at the last reading, then killed: who asked for the rest? */
	g = group_of(900, 50, 60);
	verdict_leave(&sums, &g.reading);
	g.reading.anon_bytes = 4 * KIB;
	CHECK_STR(name(&g), "healthy");
	CHECK_EQ(d.advice[0], ADVICE_NONE);
	g.reading.n_oom_kill++;
	g.reading.limit_bytes = BYTES_INFINITY;
	sums.use.grown_bytes = 1 * MIB;
	CHECK_STR(name(&g), "unknown");
	CHECK_EQ(d.use.grown_bytes, 1001 * MIB);

	/* However small. */
	g = group_of(4, 0, 0);
	g.reading.anon_bytes = 6 * MIB;
	g.reading.limit_bytes = 48 * MIB;
	verdict_leave(&sums, &g.reading);
	g.reading.n_oom_kill++;
	CHECK_STR(name(&g), "unknown");

	/* Seen when its memory was gone, and its connection was not. */
	g = group_of(900, 50, 60);
	sums.anon_bytes = 1900 * MIB;
	sums.use.in_use_bytes = 1800 * MIB;
	g.reading.anon_bytes = 4 * KIB;
	verdict_leave(&sums, &g.reading);
	CHECK_STR(name(&g), "growing");
}

static void test_half_unaccounted_for_is_not_malloc(void)
{
	struct group g = group_of(399, 100, 100);

	CHECK_STR(name(&g), "not-malloc");
	g = group_of(400, 100, 100);
	CHECK_STR(name(&g), "healthy");

	/* Small programs are mostly libraries and stacks; that is no disease. */
	g = group_of(1, 0, 0);
	g.reading.anon_bytes = 64 * MIB;
	CHECK_STR(name(&g), "not-malloc");
	g.reading.anon_bytes = 64 * MIB - 1;
	CHECK_STR(name(&g), "healthy");
}

static void test_free_but_in_no_whole_pages_is_fragmented(void)
{
	struct group g = group_of(300, 6, 600);

	CHECK_STR(name(&g), "fragmented");
	g = group_of(500, 60, 600);
	CHECK_STR(name(&g), "healthy");
	g = group_of(500, 6, 250);
	CHECK_STR(name(&g), "fragmented");
	g = group_of(500, 6, 249);
	CHECK_STR(name(&g), "healthy");

	/* Half of it could go, nobody tried: not proven. */
	g = group_of(300, 200, 600);
	CHECK_STR(name(&g), "healthy");

	/* Tried, with next to nothing for it. */
	benefit.n_rounds = 1;
	benefit.backoff_usec = 1;
	benefit.last_usage_bytes = 1000 * MIB;
	benefit.last_released_bytes = 59 * MIB;
	CHECK_STR(name(&g), "fragmented");
	benefit.last_released_bytes = 60 * MIB;
	CHECK_STR(name(&g), "healthy");
}

static void test_a_release_that_gave_nothing_disproves_the_estimate(void)
{
	struct group g = group_of(300, 600, 600);

	benefit.n_rounds = 1;
	benefit.last_usage_bytes = 1000 * MIB;
	benefit.last_released_bytes = 5 * MIB;
	/*
	 * One that paid less than this because there was less does not: no back-off then.
	 */
	CHECK_STR(name(&g), "retained");
	benefit.backoff_usec = 1;
	CHECK_STR(name(&g), "fragmented");
	/* Most of it was freed after that release. */
	sums.heap.fresh_bytes = 300 * MIB;
	CHECK_STR(name(&g), "retained");
	sums.heap.fresh_bytes = 299 * MIB;
	CHECK_STR(name(&g), "fragmented");
	/* Who did not answer in time may have had all of it. */
	benefit.last_n_silent = 1;
	CHECK_STR(name(&g), "retained");
}

static void test_extreme_groups_get_some_verdict(void)
{
	struct group g = group_of(0, 0, 0);

	g.reading.anon_bytes = UINT64_MAX;
	sums.use.in_use_bytes = sums.use.unused_bytes = sums.heap.retained_bytes = UINT64_MAX;
	benefit.last_usage_bytes = benefit.last_released_bytes = UINT64_MAX;
	benefit.n_rounds = UINT64_MAX;
	CHECK_STR(name(&g), "retained");
	g.reading.anon_bytes = 0;
	g.reading.limit_bytes = 0;
	sums = (struct sums){ .heap.time_usec = 1 };
	benefit = (struct benefit){ .n_rounds = 1 };
	CHECK_STR(name(&g), "healthy");
}

static void test_every_verdict_has_a_name_and_a_sentence(void)
{
	for (int i = VERDICT_UNKNOWN; i < VERDICT_MAX_; i++) {
		const char *text = diagnosis_to_text(&(struct diagnosis){ .verdict = (enum verdict)i });

		CHECK(strlen(verdict_to_string((enum verdict)i)) > 0);
		CHECK(text[strlen(text) - 1] == '.');
		/* That depends on more than the disease. */
		CHECK(!strstr(text, "nothing to do") && !strstr(text, "ArenaMax"));
		CHECK_EQ(strcmp(verdict_to_string((enum verdict)i), "unknown") == 0,
			 i == VERDICT_UNKNOWN);
	}
}

int main(void)
{
	RUN(test_unmeasured_is_unknown);
	RUN(test_in_use_below_the_limit_is_healthy);
	RUN(test_a_quarter_held_is_retained);
	RUN(test_in_a_small_group_a_part_of_the_limit_is_enough);
	RUN(test_a_release_that_paid_is_evidence_of_retention);
	RUN(test_no_evidence_is_left_out);
	RUN(test_mostly_in_use_near_the_limit_is_growing);
	RUN(test_who_fills_the_limit_alone_is_what_its_group_is);
	RUN(test_who_is_on_the_way_to_a_near_kill_is_growing);
	RUN(test_near_the_limit_a_flat_floor_is_healthy_and_no_other);
	RUN(test_who_is_short_of_memory_is_told_to_do_something);
	RUN(test_a_kill_says_something_for_a_day_and_of_that_limit);
	RUN(test_who_was_killed_after_a_release_had_more_than_it_gave);
	RUN(test_right_after_a_kill_figures_may_be_of_who_was_killed);
	RUN(test_an_empty_group_is_judged_as_of_its_last_member);
	RUN(test_half_unaccounted_for_is_not_malloc);
	RUN(test_free_but_in_no_whole_pages_is_fragmented);
	RUN(test_a_release_that_gave_nothing_disproves_the_estimate);
	RUN(test_extreme_groups_get_some_verdict);
	RUN(test_every_verdict_has_a_name_and_a_sentence);

	return TEST_RESULT();
}
