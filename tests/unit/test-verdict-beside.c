/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verdicts where figures of members and what is charged or resident do not add up: charged for what is
 * no member's, once for what many have, figures that are older.
 */

#include "tests/unit/verdict-fixture.h"

/* 900 MiB are charged, 100 of them to a member; 80 less were when the group was read last. */
static struct group group_beside(const struct beside *beside)
{
	struct member m = process_of(100, 95, 90, 0);

	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	sums.beside = beside;
	return (struct group){
		.settings = &all_off,
		.kind = GROUP_V1,
		.n_members = 1,
		.reading = { .time_usec = 1, .anon_bytes = (beside ? 820 : 900) * MIB, .limit_bytes = BYTES_INFINITY },
	};
}

static void test_processes_without_the_hook_are_named(void)
{
	const struct beside beside = { .charged_bytes = 900 * MIB, .anon_bytes = 900 * MIB, .n_processes = 2 };
	struct group g = group_beside(&beside);

	CHECK_STR(name(&g), "not-malloc");
	CHECK(has_advice(ADVICE_HOOK) && !has_advice(ADVICE_MAPS));
	CHECK(has_fact(FACT_UNHOOKED_BYTES, 800 * MIB));

	/* Of resident memory nothing else is known, and it can be nothing else. */
	g = group_beside(NULL);
	g.kind = GROUP_RSS;
	CHECK_STR(name(&g), "not-malloc");
	CHECK(has_advice(ADVICE_HOOK));
	CHECK(has_fact(FACT_UNHOOKED_BYTES, 790 * MIB));
}

static void test_a_member_that_has_ended_is_not_taken_for_memory_outside_malloc(void)
{
	struct group g = group_beside(NULL);

	CHECK_STR(name(&g), "not-malloc");
	sums.has_parted = true;
	CHECK_STR(name(&g), "unknown");
	g.kind = GROUP_RSS;
	CHECK_STR(name(&g), "unknown");

	/* So it is told of a group whose last member ended right after it. */
	verdict_leave(&sums, &g.reading);
	CHECK_STR(name(&g), "unknown");

	/* One that was small, beside much that is no member's. */
	g = group_beside(NULL);
	sums.anon_bytes = 600 * MIB;
	sums.has_parted = true;
	CHECK_STR(name(&g), "not-malloc");
}

static void test_what_is_no_process_is_not_said_to_be_one_without_the_hook(void)
{
	static const struct {
		struct beside beside;
		enum fact fact;
		enum advice advice;
	} cases[] = {
		{ { .shmem_bytes = 790 * MIB }, FACT_SHMEM_BYTES, ADVICE_SHARED },
		{ { .kernel_bytes = 790 * MIB }, FACT_KERNEL_BYTES, ADVICE_KERNEL },
		{ { .locked_bytes = 790 * MIB }, FACT_LOCKED_BYTES, ADVICE_LOCKED },
		{ { .below_bytes = 790 * MIB }, FACT_BELOW_BYTES, ADVICE_BELOW },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct beside beside = cases[i].beside;
		struct group g = group_beside(&beside);

		beside.charged_bytes = 900 * MIB;
		beside.n_processes = 1;
		beside.anon_bytes = 95 * MIB + beside.below_bytes;
		CHECK_STR(name(&g), "not-malloc");
		CHECK(has_fact(cases[i].fact, 790 * MIB));
		CHECK(has_fact(FACT_CHARGED_BYTES, 900 * MIB));
		CHECK(!has_fact(FACT_UNHOOKED_BYTES, 0) && !has_fact(FACT_ANON_BYTES, 900 * MIB));
		CHECK(has_advice(cases[i].advice));
		CHECK_EQ(d.n_advice, 1);
	}

	/* Not looked for: nothing is said. */
	struct group g = group_beside(NULL);
	CHECK_STR(name(&g), "not-malloc");
	CHECK(!has_fact(FACT_UNHOOKED_BYTES, 800 * MIB));
	CHECK(has_advice(ADVICE_MAPS) && !has_advice(ADVICE_HOOK));
}

static void test_what_a_member_has_got_since_it_was_looked_at_is_nobody_elses(void)
{
	const struct beside beside = { .charged_bytes = 900 * MIB, .anon_bytes = 895 * MIB, .n_processes = 1 };
	struct group g = group_beside(&beside);

	CHECK_STR(name(&g), "unknown");
}

static void test_evidence_and_advice_of_all_kinds_have_room(void)
{
	const struct beside beside = {
		.charged_bytes = 900 * MIB, .anon_bytes = 500 * MIB, .below_bytes = 100 * MIB, .shmem_bytes = 100 * MIB,
		.locked_bytes = 100 * MIB, .kernel_bytes = 100 * MIB, .n_processes = 2,
	};
	struct group g = group_beside(&beside);

	sums.n_threads = 100;
	CHECK_STR(name(&g), "not-malloc");
	CHECK(has_fact(FACT_THREADS, 100));
	CHECK_EQ(d.n_evidence, DIAGNOSIS_EVIDENCE_MAX);
	CHECK(has_advice(ADVICE_HOOK));
}

static const char *name_of(const struct member *member)
{
	static const struct group none = { .settings = &all_off };

	verdict_member(&none, member, &alerts, NOW_USEC, &d);
	return verdict_to_string(d.verdict);
}

static void test_pages_that_forks_share_count_once(void)
{
	struct group g = { .settings = &all_off, .n_members = 9, .reading = { .time_usec = 1, .limit_bytes = BYTES_INFINITY } };
	struct member m;

	/* 40 MiB of heap and 200 of mappings, which nine of them have in common. */
	m = process_of(240, 41, 40, 0);
	g.reading.anon_bytes = 247 * MIB;
	sums = (struct sums){ 0 };
	for (int i = 0; i < 9; i++)
		verdict_sum(&sums, &m, METHOD_AUTO);
	verdict_bound(&sums, &g);
	CHECK_STR(name(&g), "not-malloc");
	CHECK_EQ(sums.anon_bytes, 247 * MIB);
	CHECK_EQ(sums.use.in_use_bytes / MIB, 41);
	CHECK_EQ(sums.n_arenas, 2);

	/* Holes: each has them, and the charge has them once. */
	m = process_of(226, 220, 20, 200);
	m.last_release_usec = 6;
	m.has_lessons = true;
	m.lessons = &(struct lessons){
		.last_release = { .rss_before = 236 * MIB, .rss_after = 36 * MIB },
		.last_forecast.bytes = 200 * MIB,
	};
	g.reading.anon_bytes = 226 * MIB;
	g.benefit = &(struct benefit){ .n_rounds = 1, .last_round_usec = 6, .last_released_bytes = 79 * MIB,
				       .last_usage_bytes = 47 * MIB };
	sums = (struct sums){ 0 };
	for (int i = 0; i < 9; i++)
		verdict_sum(&sums, &m, METHOD_AUTO);
	verdict_bound(&sums, &g);
	CHECK_EQ((sums.heap.retained_bytes + MIB / 2) / MIB, 200);
	CHECK_STR(name(&g), "retained");
	CHECK(has_fact(FACT_RELEASED_BYTES, 79 * MIB) && has_fact(FACT_EXPECTED_BYTES, 126 * MIB));
	CHECK(!has_advice(ADVICE_ARENA_MAX));
}

static void test_a_sum_is_bounded_only_where_pages_are_shared(void)
{
	const struct member m = process_of(100, 95, 90, 0);
	struct group g = { .settings = &all_off, .n_members = 2,
			   .reading = { .time_usec = 1, .anon_bytes = 188 * MIB } };

	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	verdict_sum(&sums, &m, METHOD_AUTO);
	/* The counters are not in step. */
	verdict_bound(&sums, &g);
	CHECK_EQ(sums.use.in_use_bytes, 180 * MIB);
	/* What one alone has above the charge is charged elsewhere: it was moved. */
	g.reading.anon_bytes = MIB;
	g.n_members = 1;
	verdict_bound(&sums, &g);
	CHECK_EQ(sums.use.in_use_bytes, 180 * MIB);
	g.n_members = 2;
	g.reading.time_usec = 0;
	verdict_bound(&sums, &g);
	CHECK_EQ(sums.use.in_use_bytes, 180 * MIB);
	g.reading.time_usec = 1;
	verdict_bound(&sums, &g);
	CHECK(sums.use.in_use_bytes < MIB);
}

/* All malloc's is jemalloc's: @retained_mib of @rss_mib were free when it was asked, at 5. */
static struct member on_jemalloc(uint64_t rss_mib, uint64_t retained_mib, struct wire_foreign *foreign,
				 struct lessons *lessons)
{
	struct member m = process_of(rss_mib - 10, 0, 0, retained_mib);

	memset(foreign, 0, WIRE_FOREIGN * sizeof(*foreign));
	*lessons = (struct lessons){ 0 };
	foreign[0].allocator = WIRE_ALLOCATOR_JEMALLOC;
	foreign[0].in_use = (rss_mib - 10 - retained_mib) * MIB;
	foreign[0].retained = retained_mib * MIB;
	m.hello.malloc_owner = WIRE_ALLOCATOR_JEMALLOC;
	m.stats.rss = rss_mib * MIB;
	m.stats.foreign = foreign;
	m.time_usec = 5;
	m.has_lessons = true;
	m.lessons = lessons;
	return m;
}

static void test_figures_from_before_a_release_do_not_say_not_malloc(void)
{
	struct wire_foreign foreign[WIRE_FOREIGN];
	struct lessons lessons;
	struct member m = on_jemalloc(270, 250, foreign, &lessons);

	/* Of the 250 it took 75 again, before the release and unseen, and gave the others back. */
	lessons.last_release = (struct wire_reclaim_reply){ .rss_before = 200 * MIB, .rss_after = 101 * MIB };
	m.last_release_usec = 6;
	m.process.rss_bytes = 101 * MIB;
	m.process.anon_bytes = 91 * MIB;
	m.retained_bytes = 0;
	CHECK_STR(name_of(&m), "retained");
	CHECK_EQ(d.use.grown_bytes, 81 * MIB);
	/* One that gave little shows nothing. */
	lessons.last_release.rss_before = 110 * MIB;
	CHECK_STR(name_of(&m), "unknown");

	/* Measured again. */
	m.stats_usec = 7;
	m.stats.rss = 101 * MIB;
	foreign[0].in_use = 85 * MIB;
	foreign[0].retained = 0;
	CHECK_STR(name_of(&m), "healthy");

	/* Where nothing was free before it what they say still holds. */
	m = on_jemalloc(270, 0, foreign, &lessons);
	foreign[0].in_use = 10 * MIB;
	lessons.last_release = (struct wire_reclaim_reply){ .rss_before = 270 * MIB, .rss_after = 270 * MIB };
	m.last_release_usec = 6;
	CHECK_STR(name_of(&m), "not-malloc");
}

static void test_no_more_is_retained_than_is_resident_by_now(void)
{
	struct wire_foreign foreign[WIRE_FOREIGN];
	struct lessons lessons;
	struct member m = on_jemalloc(330, 318, foreign, &lessons);

	estimate_member(&m);
	CHECK_EQ(m.retained_bytes, 318 * MIB);
	/* jemalloc gave back 100 by itself since. */
	m.process.rss_bytes = 230 * MIB;
	m.process.anon_bytes = 220 * MIB;
	estimate_member(&m);
	CHECK_EQ(m.retained_bytes, 218 * MIB);
	CHECK_EQ(m.borrow.bytes, 218 * MIB);

	/* So may glibc, at the end of its heap. */
	m = process_of(300, 290, 20, 0);
	m.stats.whole_pages = 270 * MIB;
	m.time_usec = 5;
	estimate_member(&m);
	CHECK_EQ(m.retained_bytes, 270 * MIB);
	m.process.anon_bytes = 90 * MIB;
	estimate_member(&m);
	CHECK_EQ(m.retained_bytes, 90 * MIB);
}

static void test_shared_memory_of_a_process_is_not_malloc(void)
{
	struct member m = process_of(30, 20, 15, 0);
	struct group g = group_of(0, 0, 0);

	m.process.rss_bytes = 330 * MIB;
	CHECK_STR(name_of(&m), "healthy");
	m.process.shmem_permyriad = 9000;
	CHECK_STR(name_of(&m), "not-malloc");
	CHECK_EQ(d.confidence_percent, 90);
	CHECK(has_fact(FACT_SHMEM_BYTES, 297 * MIB) && has_fact(FACT_OTHER_ANON_BYTES, 307 * MIB));
	CHECK(has_fact(FACT_ANON_BYTES, 30 * MIB) && has_fact(FACT_FILE_BYTES, 3 * MIB));
	CHECK(has_advice(ADVICE_SHARED) && !has_advice(ADVICE_MAPS));

	/* And of what has no charge. */
	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	g.kind = GROUP_RSS;
	g.reading.anon_bytes = 330 * MIB;
	CHECK_STR(name(&g), "not-malloc");

	/* Of a heap that is ill it is no part. */
	m = process_of(300, 290, 20, 270);
	m.process.rss_bytes = 10000 * MIB;
	m.process.shmem_permyriad = 9000;
	CHECK_STR(name_of(&m), "retained");
}

int main(void)
{
	RUN(test_processes_without_the_hook_are_named);
	RUN(test_a_member_that_has_ended_is_not_taken_for_memory_outside_malloc);
	RUN(test_what_is_no_process_is_not_said_to_be_one_without_the_hook);
	RUN(test_what_a_member_has_got_since_it_was_looked_at_is_nobody_elses);
	RUN(test_evidence_and_advice_of_all_kinds_have_room);
	RUN(test_pages_that_forks_share_count_once);
	RUN(test_a_sum_is_bounded_only_where_pages_are_shared);
	RUN(test_figures_from_before_a_release_do_not_say_not_malloc);
	RUN(test_no_more_is_retained_than_is_resident_by_now);
	RUN(test_shared_memory_of_a_process_is_not_malloc);

	return TEST_RESULT();
}
