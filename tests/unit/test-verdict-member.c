/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verdicts with their evidence on processes of every kind whose figures were recorded, and
 * on groups of them; hours of history are made in no time, as time is an argument.
 */

#include "tests/unit/verdict-fixture.h"

#define HOUR (3600 * USEC_PER_SEC)

static const char *name_of(const struct member *member, uint64_t now_usec)
{
	static const struct group none = { .settings = &all_off };

	verdict_member(&none, member, &alerts, now_usec, &d);
	return verdict_to_string(d.verdict);
}

/* A figure a minute: @mib(i) at minute i. */
static void watch(struct member *member, unsigned int minutes, uint64_t (*mib)(unsigned int))
{
	for (unsigned int i = 0; i < minutes; i++) {
		member->stats_usec = (i + 1) * 60 * USEC_PER_SEC;
		floors_add(&member->floors, mib(i) * MIB, member->stats_usec);
	}
}

static uint64_t leak(unsigned int i)
{
	return 100 + 2 * (uint64_t)i;
}

static uint64_t fill(unsigned int i)
{
	return MIN(100 + 8 * (uint64_t)i, 400);
}

static uint64_t sawtooth(unsigned int i)
{
	return 100 + 60 * (uint64_t)(i % 9);
}

static uint64_t leaking_sawtooth(unsigned int i)
{
	return 100 + 60 * (uint64_t)(i % 9) + i;
}

static uint64_t steady(unsigned int i)
{
	return 400 + i % 3;
}

static void test_a_leak_is_growing_the_surer_the_longer(void)
{
	struct member m = process_of(480, 470, 460, 2);

	watch(&m, 8, leak);
	CHECK_STR(name_of(&m, HOUR), "healthy");
	m = process_of(480, 470, 460, 2);
	watch(&m, 20, leak);
	CHECK_STR(name_of(&m, HOUR), "growing");
	CHECK_EQ(d.confidence_percent, 75);
	CHECK(has_advice(ADVICE_HEAPTRACK));
	CHECK(has_advice(ADVICE_SANITIZER));
	m = process_of(860, 850, 820, 2);
	watch(&m, 370, leak);
	CHECK_STR(name_of(&m, 8 * HOUR), "growing");
	CHECK_EQ(d.confidence_percent, 95);
	CHECK_EQ(d.evidence[0].fact, FACT_FLOOR_FIRST_BYTES);
	CHECK_EQ(d.evidence[0].value, 100 * MIB);
	CHECK(has_fact(FACT_FLOOR_FIGURES, 370));
	CHECK(has_fact(FACT_FLOOR_SPAN_USEC, 369 * 60 * USEC_PER_SEC));
}

static void test_a_leak_is_told_although_much_is_retained(void)
{
	struct member m = process_of(900, 890, 560, 300);

	watch(&m, 230, leak);
	CHECK_STR(name_of(&m, 4 * HOUR), "growing");
	/* Most is retained: that is the first thing to mend. */
	m = process_of(900, 890, 300, 580);
	watch(&m, 100, leak);
	CHECK_STR(name_of(&m, 4 * HOUR), "retained");
}

static void test_a_cache_is_growing_until_it_is_full(void)
{
	struct member m = process_of(340, 330, 320, 2);

	watch(&m, 28, fill);
	CHECK_STR(name_of(&m, HOUR), "growing");
	m = process_of(420, 410, 400, 2);
	watch(&m, 90, fill);
	CHECK_STR(name_of(&m, 2 * HOUR), "healthy");
	CHECK_EQ(d.confidence_percent, 90);
}

static uint64_t leak_after_rest(unsigned int i)
{
	return 300 + (i > 40 ? 5 * ((uint64_t)i - 40) : 0);
}

/* Never growing from one quarter of its life to the next in all of them. */
static void test_a_leak_that_began_late_is_growing_near_the_limit(void)
{
	struct member m = process_of(500, 490, 480, 2);
	struct group g = group_of(0, 0, 0);

	watch(&m, 76, leak_after_rest);
	CHECK_STR(name_of(&m, 2 * HOUR), "healthy");
	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	g.reading.anon_bytes = 500 * MIB;
	CHECK_STR(name(&g), "healthy");
	g.reading.limit_bytes = 600 * MIB;
	CHECK_STR(name(&g), "growing");

	/* A cache that is full fits its limit. */
	m = process_of(420, 410, 400, 2);
	watch(&m, 90, fill);
	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	g.reading.anon_bytes = 420 * MIB;
	g.reading.limit_bytes = 500 * MIB;
	CHECK_STR(name(&g), "healthy");
	CHECK(has_advice(ADVICE_RAISE_LIMIT));
}

static void test_a_sawtooth_is_healthy_unless_its_foot_rises(void)
{
	struct member m = process_of(600, 590, 580, 2);

	watch(&m, 300, sawtooth);
	CHECK_STR(name_of(&m, 6 * HOUR), "healthy");
	m = process_of(880, 870, 860, 2);
	watch(&m, 300, leaking_sawtooth);
	CHECK_STR(name_of(&m, 6 * HOUR), "growing");
}

static void test_what_is_steady_is_healthy_even_at_its_limit(void)
{
	struct member m = process_of(420, 410, 402, 2);
	const struct group_settings high = { .usage_high_permyriad = 8000 };
	struct group g = { .settings = &high,
			   .reading = { .time_usec = 1, .anon_bytes = 420 * MIB,
					.limit_bytes = 450 * MIB } };

	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	CHECK_STR(name(&g), "growing");
	CHECK_EQ(d.confidence_percent, 40);
	watch(&m, 60, steady);
	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	CHECK_STR(name(&g), "healthy");
	CHECK(has_advice(ADVICE_RAISE_LIMIT));
	CHECK(has_fact(FACT_LIMIT_BYTES, 450 * MIB));
}

static void test_retained_after_a_burst_is_surer_after_a_release(void)
{
	struct member m = process_of(510, 500, 100, 390);

	m.stats.n_arenas = 8;
	CHECK_STR(name_of(&m, HOUR), "retained");
	CHECK_EQ(d.confidence_percent, 75);
	CHECK(has_advice(ADVICE_RELEASE));
	CHECK(has_advice(ADVICE_ARENA_MAX));
	CHECK(has_advice(ADVICE_THRESHOLDS));

	/* Pinned, by us or by its own environment. */
	m.hello.tuned = 1U << WIRE_KNOB_MMAP_THRESHOLD | 1U << WIRE_KNOB_TRIM_THRESHOLD;
	CHECK_STR(name_of(&m, HOUR), "retained");
	CHECK(!has_advice(ADVICE_THRESHOLDS));
	m.hello.tuned = 1U << WIRE_KNOB_ARENA_MAX;
	CHECK_STR(name_of(&m, HOUR), "retained");
	CHECK(has_advice(ADVICE_THRESHOLDS));
	m.hello.env_tuned = 1U << WIRE_KNOB_TRIM_THRESHOLD;
	CHECK_STR(name_of(&m, HOUR), "retained");
	CHECK(!has_advice(ADVICE_THRESHOLDS));

	/* The same process, after it. */
	m = process_of(120, 110, 100, 0);
	m.has_lessons = true;
	m.lessons = &(struct lessons){
		.last_release = { .rss_before = 520 * MIB, .rss_after = 130 * MIB },
		.last_forecast.bytes = 390 * MIB,
	};
	m.last_release_usec = HOUR;
	CHECK_STR(name_of(&m, HOUR + USEC_PER_SEC), "retained");
	/* What it gave there is to give no more. */
	CHECK(has_advice(ADVICE_RELEASE_IDLE) && !has_advice(ADVICE_RELEASE));
	CHECK_EQ(d.confidence_percent, 95);
	CHECK(has_fact(FACT_RELEASED_BYTES, 390 * MIB));
	CHECK(has_fact(FACT_RELEASE_AGE_USEC, USEC_PER_SEC));
	/* Long ago: it tells nothing about today. */
	CHECK_STR(name_of(&m, 8 * HOUR), "healthy");

	/* Much, and of what was there little. */
	m = process_of(600, 590, 580, 0);
	m.has_lessons = true;
	m.lessons = &(struct lessons){
		.last_release = { .rss_before = 800 * MIB, .rss_after = 600 * MIB },
		.last_forecast.bytes = 200 * MIB,
	};
	m.last_release_usec = HOUR;
	CHECK_STR(name_of(&m, HOUR + 1), "retained");
	m.lessons->last_release.rss_after += MIB;
	CHECK_STR(name_of(&m, HOUR + 1), "healthy");
}

static void test_holes_below_a_page_are_fragmented(void)
{
	struct member m = process_of(410, 400, 110, 4);

	CHECK_STR(name_of(&m, HOUR), "fragmented");
	CHECK_EQ(d.confidence_percent, 60);
	CHECK(has_advice(ADVICE_ALLOCATOR));
	CHECK_STR(d.allocator, "jemalloc");
	m.hello.malloc_owner = WIRE_ALLOCATOR_JEMALLOC;
	m.stats.foreign = (const struct wire_foreign[WIRE_FOREIGN]){
		{ .allocator = WIRE_ALLOCATOR_JEMALLOC, .in_use = MIB },
	};
	(void)name_of(&m, HOUR);
	CHECK_STR(d.allocator, "mimalloc");

	m = process_of(410, 400, 110, 300);
	m.has_lessons = true;
	m.lessons = &(struct lessons){
		.last_release = { .rss_before = 420 * MIB, .rss_after = 412 * MIB },
		.last_forecast.bytes = 300 * MIB,
	};
	m.last_release_usec = HOUR;
	CHECK_STR(name_of(&m, HOUR + 1), "fragmented");
	CHECK_EQ(d.confidence_percent, 90);
	CHECK(has_fact(FACT_EXPECTED_BYTES, 300 * MIB));
}

static void test_a_release_that_was_cut_short_shows_nothing(void)
{
	struct lessons lessons = {
		.last_release = { .rss_before = 800 * MIB, .rss_after = 790 * MIB,
				  .end = WIRE_END_ASKED },
		.last_forecast = { .bytes = 500 * MIB },
	};
	struct member m = process_of(800, 800, 200, 0);

	/* After one nothing is expected until the next figures. */
	m.has_lessons = true;
	m.lessons = &lessons;
	m.last_release_usec = 6;
	CHECK_STR(name_of(&m, 7), "unknown");
	CHECK(has_advice(ADVICE_MEASURE));

	/* They are there, and find it. */
	m.stats_usec = 7;
	m.retained_bytes = 490 * MIB;
	CHECK_STR(name_of(&m, 8), "retained");
	/* Or find no whole pages; but no release has shown that. */
	m.retained_bytes = 0;
	CHECK_STR(name_of(&m, 8), "fragmented");
	CHECK_EQ(d.confidence_percent, 60);

	/* The same release, to its end. */
	lessons.last_release.end = WIRE_END_DONE;
	CHECK_STR(name_of(&m, 8), "fragmented");
	CHECK_EQ(d.confidence_percent, 90);
	m.retained_bytes = 490 * MIB;
	CHECK_STR(name_of(&m, 8), "fragmented");
}

static void test_huge_pages_are_named_where_they_are_the_cause(void)
{
	struct member m = process_of(410, 400, 110, 4);

	m.stats.heap_huge = 380 * MIB;
	CHECK_STR(name_of(&m, HOUR), "fragmented");
	CHECK(has_advice(ADVICE_HUGE_PAGES));
	CHECK(has_fact(FACT_HUGE_BYTES, 380 * MIB));
}

static void test_a_big_mapping_and_thread_stacks_are_not_malloc(void)
{
	struct member m = process_of(520, 10, 8, 0);

	CHECK_STR(name_of(&m, HOUR), "not-malloc");
	CHECK_EQ(d.confidence_percent, 90);
	CHECK(has_advice(ADVICE_MAPS));
	CHECK(!has_advice(ADVICE_STACKS));
	CHECK(has_fact(FACT_OTHER_ANON_BYTES, 510 * MIB));
	m.process.n_threads = 100;
	CHECK_STR(name_of(&m, HOUR), "not-malloc");
	CHECK(has_advice(ADVICE_STACKS));
	/* As many processes have as many threads, but not their stacks. */
	sums = (struct sums){ 0 };
	for (unsigned int i = 0; i < 50; i++)
		verdict_sum(&sums, &(struct member){ .process.n_threads = 2 }, METHOD_AUTO);
	CHECK_EQ(sums.n_threads, 100);
	CHECK_EQ(sums.n_stacks, 0);

	/* Where it lies beside an arena, and the kernel has made one mapping of both. */
	m = process_of(520, 10, 8, 0);
	m.stats.heap_rss = 515 * MIB;
	CHECK_STR(name_of(&m, HOUR), "not-malloc");
}

static void test_what_came_since_the_figures_is_nobodys_yet(void)
{
	struct member m = process_of(520, 10, 8, 0);

	/* Most is outside of malloc, even if all of that is malloc's. */
	m.stats.rss = m.process.rss_bytes - 249 * MIB;
	CHECK_STR(name_of(&m, HOUR), "not-malloc");
	m.stats.rss -= MIB;
	CHECK_STR(name_of(&m, HOUR), "unknown");

	/* But for shared memory. */
	m = process_of(20, 10, 8, 0);
	m.process.rss_bytes = 420 * MIB;
	m.process.shmem_permyriad = 9500;
	m.stats.rss = 20 * MIB;
	CHECK_STR(name_of(&m, HOUR), "not-malloc");
	m.process.shmem_permyriad = 0;
	CHECK_STR(name_of(&m, HOUR), "healthy");
}

static void test_what_malloc_maps_singly_is_in_use(void)
{
	struct member m = process_of(520, 10, 8, 0);

	m.stats.mmapped = 505 * MIB;
	CHECK_STR(name_of(&m, HOUR), "healthy");
	CHECK(has_fact(FACT_IN_USE_BYTES, 513 * MIB));
}

static void test_file_pages_are_no_disease(void)
{
	struct member m = process_of(40, 30, 25, 0);

	m.process.rss_bytes = 2 * GIB;
	CHECK_STR(name_of(&m, HOUR), "healthy");
}

static void test_an_allocator_that_tells_is_believed_and_one_that_does_not_is_unknown(void)
{
	struct member m = process_of(520, 10, 8, 300);

	m.hello.malloc_owner = WIRE_ALLOCATOR_JEMALLOC;
	m.hello.allocators |= WIRE_ALLOCATOR_JEMALLOC;
	m.stats.foreign = (const struct wire_foreign[WIRE_FOREIGN]){
		{ .allocator = WIRE_ALLOCATOR_JEMALLOC,
		  .in_use = 150 * MIB,
		  .retained = 300 * MIB },
	};
	CHECK_STR(name_of(&m, HOUR), "retained");
	CHECK(!has_advice(ADVICE_ARENA_MAX));
	CHECK(!has_advice(ADVICE_THRESHOLDS));

	/* Beside glibc's, in a library of its own, out of our sight. */
	m = process_of(520, 10, 8, 0);
	CHECK_STR(name_of(&m, HOUR), "not-malloc");

	m.hello.malloc_owner = WIRE_ALLOCATOR_MIMALLOC;
	m.stats.foreign = (const struct wire_foreign[WIRE_FOREIGN]){
		{ .allocator = WIRE_ALLOCATOR_MIMALLOC },
	};
	CHECK_STR(name_of(&m, HOUR), "unknown");
	CHECK(strstr(diagnosis_to_text(&d), "mimalloc does not tell") == diagnosis_to_text(&d));
	CHECK(has_advice(ADVICE_DECAY));
	CHECK(has_advice(ADVICE_MEASURE));
	m.has_lessons = true;

	/* What was tried in vain is not proposed again, nor is what is set, until it has grown. */
	m.lessons = &(struct lessons){
		.last_release = { .rss_before = 530 * MIB, .rss_after = 530 * MIB },
	};
	m.last_release_usec = HOUR;
	m.hello.env_tuned = 1U << WIRE_KNOB_DECAY;
	CHECK_STR(name_of(&m, HOUR + 1), "unknown");
	CHECK(!has_advice(ADVICE_DECAY));
	CHECK(!has_advice(ADVICE_MEASURE));
	CHECK(has_advice(ADVICE_HEAPTRACK));
	CHECK(has_fact(FACT_RELEASED_BYTES, 0));
	m.process.anon_bytes += 32 * MIB;
	CHECK_STR(name_of(&m, HOUR + 1), "unknown");
	CHECK(has_advice(ADVICE_MEASURE));
	m.process.anon_bytes -= 32 * MIB;

	m.lessons = &(struct lessons){
		.last_release = { .rss_before = 900 * MIB, .rss_after = 530 * MIB },
	};
	m.last_release_usec = HOUR;
	CHECK_STR(name_of(&m, HOUR + 1), "retained");
}

static void test_swapped_memory_counts_as_in_use_not_as_outside(void)
{
	struct member m = process_of(80, 70, 400, 0);

	m.process.swap_bytes = 330 * MIB;
	CHECK_STR(name_of(&m, HOUR), "healthy");
	CHECK(has_fact(FACT_SWAP_BYTES, 330 * MIB));
}

static void test_what_was_freed_and_swapped_out_is_retained(void)
{
	struct member m = process_of(80, 70, 40, 10);

	m.process.swap_bytes = m.stats.heap_swap = 330 * MIB;
	m.stats.system = 400 * MIB;
	m.stats.free = m.stats.whole_pages = 360 * MIB;
	CHECK_STR(name_of(&m, HOUR), "retained");
	CHECK(has_fact(FACT_SWAPPED_FREE_BYTES, 330 * MIB));

	/* It was given back. */
	m.process.swap_bytes = m.stats.heap_swap = 0;
	CHECK_STR(name_of(&m, HOUR), "healthy");
}

static void test_a_fork_server_is_not_counted_again_for_each_child(void)
{
	struct member m = process_of(300, 295, 280, 5);
	struct group g = { .settings = &all_off, .reading = { .time_usec = 1, .anon_bytes = 320 * MIB,
					.limit_bytes = BYTES_INFINITY } };

	sums = (struct sums){ 0 };
	for (int i = 0; i < 9; i++)
		verdict_sum(&sums, &m, METHOD_AUTO);
	CHECK_STR(name(&g), "healthy");
}

static void test_one_leaking_process_makes_its_group_grow(void)
{
	struct member m = process_of(900, 890, 860, 5), calm = process_of(200, 190, 180, 0);
	struct group g = { .settings = &all_off, .reading = { .time_usec = 1, .anon_bytes = 1100 * MIB,
					.limit_bytes = BYTES_INFINITY } };

	sums = (struct sums){ 0 };
	watch(&m, 370, leak);
	watch(&calm, 370, steady);
	verdict_sum(&sums, &m, METHOD_AUTO);
	verdict_sum(&sums, &calm, METHOD_AUTO);
	CHECK_STR(name(&g), "growing");
	CHECK_EQ(sums.n_judged, 2);
}

static void test_what_is_not_measured_is_unknown(void)
{
	struct member m = process_of(900, 890, 860, 5);

	m.stats_usec = 0;
	CHECK_STR(name_of(&m, HOUR), "unknown");
	CHECK_EQ(d.confidence_percent, 0);
	CHECK(has_advice(ADVICE_MEASURE));
}

static void test_who_is_stopped_has_to_go_on_before_it_is_measured(void)
{
	struct member m = process_of(900, 890, 860, 5);

	m.stats_usec = 0;
	m.process.state = 'T';
	CHECK_STR(name_of(&m, HOUR), "unknown");
	CHECK_EQ(d.n_advice, 2);
	CHECK_EQ(d.advice[0], ADVICE_CONTINUE);
	CHECK_EQ(d.advice[1], ADVICE_MEASURE);
}

static void test_claims_beyond_all_bounds_are_survived(void)
{
	struct group g = { .settings = &all_off, .reading = { .time_usec = 1, .anon_bytes = UINT64_MAX,
					.limit_bytes = 1 } };
	struct lessons lessons;
	struct member m;

	sums = (struct sums){ 0 };
	memset(&lessons, 0xff, sizeof(lessons));
	memset(&m, 0xff, sizeof(m));
	m.has_lessons = true;
	m.lessons = &lessons;
	m.stats.foreign = lessons.foreign;
	m.floors = (struct floors){ 0 };
	floors_add(&m.floors, UINT64_MAX, UINT64_MAX);
	floors_add(&m.floors, UINT64_MAX, 0);
	for (int i = 0; i < 3; i++)
		verdict_sum(&sums, &m, METHOD_AUTO);
	g.n_members = 3;
	g.reading.anon_bytes = 1;
	verdict_bound(&sums, &g);
	(void)name(&g);
	CHECK(d.confidence_percent <= 100);
	CHECK(d.n_evidence <= DIAGNOSIS_EVIDENCE_MAX);
	CHECK(d.n_advice >= 1);
	(void)name_of(&m, 0);
	CHECK(d.n_advice >= 1);
}

static void test_floors_keep_the_least_of_each_span_and_never_grow(void)
{
	struct floors f = { 0 };
	struct rise rise;

	rise = floors_rise(&f, 0);
	CHECK_EQ(rise.n, 0);
	floors_add(&f, 0, 1000);
	CHECK_EQ(f.kib[0], 1);
	for (uint64_t i = 1; i <= 100000; i++)
		floors_add(&f, (i % 100 ? 900 : 500) * MIB, 1000 + i * USEC_PER_SEC);
	rise = floors_rise(&f, 1000 + 100000 * USEC_PER_SEC);
	CHECK(rise.n >= FLOORS_ENOUGH);
	CHECK_EQ(rise.first_bytes, 0);
	CHECK_EQ(rise.last_bytes, 500 * MIB);
	CHECK_EQ(rise.least_step_bytes, 0);
	CHECK_EQ(rise.n_figures, 100001);
	CHECK_EQ(rise.span_usec, 100000 * USEC_PER_SEC);

	/* A clock that goes back is not history. */
	floors_add(&f, 1, 500);
	CHECK_EQ(f.n, 100001);
	/* Nor does a month of it fill more: the oldest goes. */
	floors_add(&f, 700 * MIB, 31 * 24 * HOUR);
	CHECK_EQ(f.n_doubled, 16); /* the first time that a span is FLOORS_SPAN_MAX_USEC */
	CHECK(FLOORS_SPAN_MIN_USEC << 16 >= FLOORS_SPAN_MAX_USEC);
	rise = floors_rise(&f, 31 * 24 * HOUR);
	CHECK_EQ(rise.n, 1);
}

static void test_every_fact_and_advice_has_a_name_of_its_own(void)
{
	for (int i = 0; i < FACT_MAX_; i++)
		for (int k = 0; k < i; k++)
			CHECK(strcmp(fact_to_string((enum fact)i),
				     fact_to_string((enum fact)k)) != 0);
	for (int i = 0; i < ADVICE_MAX_; i++)
		for (int k = 0; k < i; k++)
			CHECK(strcmp(advice_to_string((enum advice)i),
				     advice_to_string((enum advice)k)) != 0);
	CHECK_STR(fact_to_string(FACT_MAX_), "unknown");
	CHECK_STR(advice_to_string(ADVICE_MAX_), "unknown");
	CHECK_STR(verdict_to_string(VERDICT_MAX_), "unknown");
}

static void test_a_member_that_was_never_asked_is_not_outside_of_malloc(void)
{
	struct member m = process_of(100, 80, 70, 5), unasked = process_of(900, 0, 0, 0);
	struct group g = group_of(0, 0, 0);

	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	CHECK_STR(name(&g), "not-malloc");

	/* Under a filter, frozen, or new: nobody knows what it holds. */
	unasked.stats = (struct stats){ 0 };
	unasked.stats_usec = 0;
	verdict_sum(&sums, &unasked, METHOD_AUTO);
	CHECK_STR(name(&g), "unknown");
	CHECK(has_advice(ADVICE_MEASURE));
}

int main(void)
{
	RUN(test_a_leak_is_growing_the_surer_the_longer);
	RUN(test_a_leak_is_told_although_much_is_retained);
	RUN(test_a_cache_is_growing_until_it_is_full);
	RUN(test_a_leak_that_began_late_is_growing_near_the_limit);
	RUN(test_a_sawtooth_is_healthy_unless_its_foot_rises);
	RUN(test_what_is_steady_is_healthy_even_at_its_limit);
	RUN(test_retained_after_a_burst_is_surer_after_a_release);
	RUN(test_holes_below_a_page_are_fragmented);
	RUN(test_a_release_that_was_cut_short_shows_nothing);
	RUN(test_huge_pages_are_named_where_they_are_the_cause);
	RUN(test_a_big_mapping_and_thread_stacks_are_not_malloc);
	RUN(test_what_came_since_the_figures_is_nobodys_yet);
	RUN(test_what_malloc_maps_singly_is_in_use);
	RUN(test_file_pages_are_no_disease);
	RUN(test_an_allocator_that_tells_is_believed_and_one_that_does_not_is_unknown);
	RUN(test_swapped_memory_counts_as_in_use_not_as_outside);
	RUN(test_what_was_freed_and_swapped_out_is_retained);
	RUN(test_a_fork_server_is_not_counted_again_for_each_child);
	RUN(test_one_leaking_process_makes_its_group_grow);
	RUN(test_what_is_not_measured_is_unknown);
	RUN(test_who_is_stopped_has_to_go_on_before_it_is_measured);
	RUN(test_claims_beyond_all_bounds_are_survived);
	RUN(test_floors_keep_the_least_of_each_span_and_never_grow);
	RUN(test_every_fact_and_advice_has_a_name_of_its_own);
	RUN(test_a_member_that_was_never_asked_is_not_outside_of_malloc);

	return TEST_RESULT();
}
