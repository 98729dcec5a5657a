/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Estimates in heap states like those of real programs.
 */

#include "agent/policy/estimate.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

/* 1 GiB of address space: half of it whole free pages, a quarter holes below a page. */
static struct stats example(void)
{
	return (struct stats){
		.flags = WIRE_STATS_HEAP | WIRE_STATS_RSS,
		.rss = 1030 * MIB,
		.heap_rss = 1024 * MIB,
		.system = 1024 * MIB,
		.in_use = 256 * MIB,
		.free = 768 * MIB,
		.whole_pages = 512 * MIB,
		.largest_pages = 512 * MIB,
		.n_free = 100000,
		.n_page_free = 8000,
		.largest_n_page_free = 8000,
		.largest_n_free = 100000,
	};
}

static struct member member_of(const struct stats *stats)
{
	return (struct member){
		.hello = { .allocators = WIRE_ALLOCATOR_GLIBC },
		.busy_permyriad = 9000,
		.stats = *stats,
		.stats_usec = 10,
	};
}

static void test_resident_holes_are_expected_to_go(void)
{
	const struct stats s = example();

	CHECK_EQ(estimate_retained(&s, 0), 512 * MIB);
}

static void test_right_after_a_trim_nothing_is_expected(void)
{
	struct stats s = example();

	/* The chunks are still there, their pages are not. */
	s.heap_rss = 512 * MIB;
	CHECK_EQ(estimate_retained(&s, 0), 0);
	CHECK_EQ(estimate_retained(&s, 256 * MIB), 0);
	s.heap_rss = 400 * MIB;
	CHECK_EQ(estimate_retained(&s, 0), 0);
}

/* 1 GiB of heap, of which half is in whole free pages. */
static void test_only_what_is_free_counts_as_swapped_in_vain(void)
{
	struct stats s = example();

	s.free = 600 * MIB;
	s.heap_rss = 112 * MIB;
	CHECK_EQ(estimate_swapped(&s, 0), 0);
	s.heap_swap = 912 * MIB;
	CHECK_EQ(estimate_swapped(&s, 0), 512 * MIB);
	CHECK_EQ(estimate_swapped(&s, 500 * MIB), 12 * MIB);

	/* What is neither resident nor in swap was given back. */
	s.heap_swap = 500 * MIB;
	CHECK_EQ(estimate_swapped(&s, 0), 100 * MIB);
	s.heap_swap = UINT64_MAX;
	CHECK_EQ(estimate_swapped(&s, 0), 600 * MIB);
	s.flags = 0;
	CHECK_EQ(estimate_swapped(&s, 0), 0);
}

static void test_untouched_address_space_is_not_retained(void)
{
	struct stats s = example();

	s.system += 4 * GIB;
	s.free += 4 * GIB;
	s.whole_pages += 4 * GIB;
	CHECK_EQ(estimate_retained(&s, 0), 512 * MIB);
}

static void test_the_main_top_goes_and_other_tops_stay(void)
{
	struct stats s = example();

	s.main_top = 100 * MIB;
	s.other_tops = 50 * MIB;
	CHECK_EQ(estimate_retained(&s, 0), 612 * MIB);
	s.main_top = 0;
	CHECK_EQ(estimate_retained(&s, 0), 512 * MIB);

	/* A top that is not resident does not stand for something that is. */
	s.heap_rss -= 30 * MIB;
	CHECK_EQ(estimate_retained(&s, 0), 482 * MIB);
	s.hollow = 30 * MIB;
	CHECK_EQ(estimate_retained(&s, 0), 512 * MIB);
	s.hollow = UINT64_MAX;
	CHECK_EQ(estimate_retained(&s, 0), 512 * MIB);
}

static void test_no_more_goes_than_there_are_pages(void)
{
	struct stats s = example();

	/* A program's own sbrk() is resident in the same mapping. */
	s.heap_rss = 2048 * MIB;
	CHECK_EQ(estimate_retained(&s, 0), 512 * MIB);

	/* Nor more than is resident, though the parts claim more than the whole. */
	s.heap_rss = 100 * MIB;
	s.system = 1;
	CHECK_EQ(estimate_retained(&s, 0), 100 * MIB);
}

static void test_holes_below_a_page_are_not_retained(void)
{
	struct stats s = example();

	s.whole_pages = 0;
	CHECK_EQ(estimate_retained(&s, 0), 0);
	CHECK_EQ(estimate_unused(&s), 768 * MIB);
}

static void test_what_stayed_after_a_release_corrects_the_next(void)
{
	struct stats s = example();

	/* Right after one: 100 MiB of what should stay was never resident. */
	s.heap_rss = 412 * MIB;
	CHECK_EQ(estimate_bias(&s), -(int64_t)(100 * MIB));
	CHECK_EQ(estimate_retained(&s, estimate_bias(&s)), 0);
	s.heap_rss = 712 * MIB;
	CHECK_EQ(estimate_retained(&s, -(int64_t)(100 * MIB)), 300 * MIB);

	/* What should have gone and did not is believed a little only. */
	s.heap_rss = 528 * MIB;
	CHECK_EQ(estimate_bias(&s), 16 * MIB);
	CHECK_EQ(estimate_retained(&s, estimate_bias(&s)), 0);
	s.heap_rss = 1024 * MIB;
	CHECK_EQ(estimate_bias(&s), 64 * MIB);

	/* Tops that seemed hollow were not: resident after a full trim, they will be after the next. */
	s.heap_rss = 528 * MIB;
	s.hollow = s.other_tops = 100 * MIB;
	CHECK_EQ(estimate_bias(&s), 116 * MIB);
	CHECK_EQ(estimate_retained(&s, estimate_bias(&s)), 0);

	s.flags = 0;
	CHECK_EQ(estimate_bias(&s), 0);
}

/*
 * Measured of 128 threads in 16 arenas: a full trim, then all end, then the figures. What stays is
 * 37 MiB, which lay between what their caches held, and the next trim gave back 36 of them.
 */
static struct stats ended(void)
{
	return (struct stats){
		.flags = WIRE_STATS_HEAP | WIRE_STATS_RSS,
		.rss = 38 * MIB + 600 * KIB,
		.heap_rss = 36 * MIB + 700 * KIB,
		.system = 194 * MIB + 600 * KIB,
		.free = 194 * MIB + 500 * KIB,
		.whole_pages = 192 * MIB + 400 * KIB,
		.main_top = 100 * KIB,
		.other_tops = 1 * MIB + 900 * KIB,
		.hollow = 550 * MIB,
		.n_arenas = 16,
	};
}

static void test_what_caches_of_ended_threads_gave_back_is_no_error(void)
{
	const struct stats s = ended();

	/* As an error it would be taken off what the next release is expected to give. */
	CHECK(estimate_bias(&s) >= (int64_t)(4 * MIB));
	CHECK(estimate_retained(&s, estimate_bias(&s)) < 33 * MIB);
	CHECK_EQ(estimate_next_bias(&s, 0, true), 0);
	CHECK(estimate_retained(&s, estimate_next_bias(&s, 0, true)) >= 36 * MIB);

	/* Nobody ended: it is one. */
	CHECK_EQ(estimate_next_bias(&s, 0, false), estimate_bias(&s));
	CHECK_EQ(estimate_next_bias(&s, -(int64_t)MIB, false), estimate_bias(&s));
}

static void test_what_was_learnt_stays_when_threads_have_ended(void)
{
	struct stats s = ended();

	CHECK_EQ(estimate_next_bias(&s, MIB, true), MIB);
	CHECK_EQ(estimate_next_bias(&s, -(int64_t)MIB, true), -(int64_t)MIB);
	/* Less than that it cannot be, whoever ended. */
	CHECK_EQ(estimate_next_bias(&s, 16 * MIB, true), estimate_bias(&s));

	/* What never was resident no thread has made. */
	s = example();
	s.heap_rss = 412 * MIB;
	CHECK_EQ(estimate_next_bias(&s, 0, true), -(int64_t)(100 * MIB));
}

static void test_without_a_walk_of_the_heap_nothing_is_known(void)
{
	struct stats s = example();

	s.flags = WIRE_STATS_RSS;
	CHECK_EQ(estimate_retained(&s, 0), 0);
	CHECK_EQ(estimate_stall_usec(&s, true), 0);
	CHECK_EQ(estimate_unused(&s), 0);

	/* Nor without RSS, which the hook sends as 0. */
	s = example();
	s.flags = WIRE_STATS_HEAP;
	s.heap_rss = 0;
	CHECK_EQ(estimate_retained(&s, 0), 0);
}

static void test_figures_of_liars_are_survived(void)
{
	static const uint64_t values[] = { 0, 1, 512 * MIB, UINT64_MAX - 1, UINT64_MAX };
	const size_t n = ARRAY_SIZE(values);
	struct member m;

	for (size_t i = 0; i < n * n * n * n * n * n; i++) {
		const struct stats s = {
			.flags = WIRE_STATS_HEAP,
			.heap_rss = values[i % n],
			.system = values[i / n % n],
			.in_use = values[i / n / n % n],
			.whole_pages = values[i / n / n / n % n],
			.main_top = values[i / n / n / n / n % n],
			.other_tops = values[i / n / n / n / n / n % n],
			.hollow = values[(i + 4) % n],
			.unsorted = values[(i + 1) % n],
			.free = values[(i + 2) % n],
			.largest_pages = values[(i + 3) % n],
			.n_free = UINT32_MAX,
			.largest_n_page_free = UINT32_MAX,
			.largest_n_free = UINT32_MAX,
		};

		CHECK(estimate_retained(&s, (int64_t)values[i % n]) <= s.heap_rss);
		CHECK(estimate_retained(&s, INT64_MIN) <= s.heap_rss);
		CHECK(estimate_retained(&s, estimate_bias(&s)) <= s.heap_rss);
		CHECK(estimate_unused(&s) <= s.heap_rss);
		CHECK(estimate_stall_usec(&s, true) >= UINT32_MAX);
		m = member_of(&s);
		estimate_member(&m);
		CHECK(m.borrow.bytes <= s.heap_rss);
	}
}

static void test_the_stall_is_that_of_the_costliest_arena(void)
{
	struct stats s = example();

	/* 100,000 x 25 ns + 8,000 x 1 us + 512 MiB x 0.4 ms. */
	CHECK_EQ(estimate_stall_usec(&s, true), 2500 + 8000 + 204800);

	s.largest_pages = 64 * MIB;
	s.largest_n_page_free = 1000;
	s.largest_n_free = 40000;
	CHECK_EQ(estimate_stall_usec(&s, true), 1000 + 1000 + 25600);
}

static void test_chunks_already_empty_still_cost_their_visit(void)
{
	struct stats s = example();

	s.heap_rss = 512 * MIB;
	CHECK_EQ(estimate_stall_usec(&s, true), 2500 + 8000);
}

static void test_who_does_not_work_is_trimmed_faster(void)
{
	const struct stats s = example();

	CHECK_EQ(estimate_stall_usec(&s, false), 2500 + 5600 + 512 * 150);
}

static void test_huge_pages_are_dropped_faster(void)
{
	struct stats s = example();

	s.heap_huge = s.heap_rss;
	CHECK(estimate_stall_usec(&s, true) < 2500 + 8000 + 204800 / 2);
	s.heap_huge = UINT64_MAX;
	CHECK(estimate_stall_usec(&s, true) > 2500 + 8000);
}

static void test_a_release_takes_as_long_as_all_arenas(void)
{
	struct stats s = example();

	s.largest_pages = s.largest_n_free = s.largest_n_page_free = 0;
	CHECK_EQ(estimate_stall_usec(&s, true), 0);
	CHECK_EQ(estimate_release_usec(&s, 100 * MIB, true), 2500 + 8000 + 40000);
}

static void test_borrowing_reaches_anchored_arenas_and_their_tops(void)
{
	struct stats s = example();
	struct member m;

	s.n_arenas = 4;
	s.n_anchored = 3;
	s.other_tops = 100 * MIB;
	s.heap_rss = s.system;
	m = member_of(&s);
	estimate_member(&m);
	CHECK_EQ(m.retained_bytes, 512 * MIB);
	CHECK_EQ(m.borrow.bytes, 612 * MIB / 4 * 3);
	CHECK(m.borrow.stall_usec < m.stall_usec);
	CHECK(m.borrow.usec > m.release_usec);
	CHECK(estimate_can_borrow(&m));

	m.borrow_refused = true;
	CHECK(!estimate_can_borrow(&m));
	m.borrow_refused = false;
	m.stats.n_anchored = 0;
	CHECK(!estimate_can_borrow(&m));
	m.stats.n_anchored = 1;
	m.hello.allocators |= m.hello.malloc_owner = WIRE_ALLOCATOR_JEMALLOC;
	CHECK(!estimate_can_borrow(&m));
	CHECK(!estimate_has_methods(&m));
}

static void test_what_has_come_since_the_figures_is_borrowed_at_the_pace_of_what_was(void)
{
	struct lessons lessons = { .calibration = { .n_borrow = 1, .borrow_usec_per_mib = 1234 } };
	struct stats s = example();
	struct member m = member_of(&s);

	estimate_member(&m);
	CHECK_EQ(m.borrow_usec_per_mib, 2 * estimate_drop_usec(&s, 1024 * MIB, true) / 1024);
	m.lessons = &lessons;
	m.has_lessons = true;
	estimate_member(&m);
	CHECK_EQ(m.borrow_usec_per_mib, 1234);

	m.time_usec = 1;
	m.stats.rss = m.process.rss_bytes = 512 * MIB;
	CHECK_EQ(estimate_borrow_usec(&m), m.borrow.usec);
	m.process.rss_bytes += 100 * MIB;
	CHECK_EQ(estimate_borrow_usec(&m), m.borrow.usec + 123400);
	m.process.rss_bytes = UINT64_MAX;
	CHECK(estimate_borrow_usec(&m) > (UINT64_C(1) << 40));
}

static void test_what_is_kept_of_an_answer_is_what_was_said(void)
{
	const struct wire_foreign foreign[WIRE_FOREIGN] = { { .allocator = 2 }, { .allocator = 4 } };
	const struct wire_stats wire = {
		.rss = 1,
		.heap_rss = 2,
		.heap_huge = 3,
		.heap_swap = 4,
		.system = 5,
		.in_use = 6,
		.free = 7,
		.mmapped = 8,
		.whole_pages = 9,
		.main_top = 10,
		.other_tops = 11,
		.unsorted = 12,
		.largest_pages = 13,
		.largest_unsorted = 14,
		.hollow = 15,
		.flags = 16,
		.n_arenas = 17,
		.n_heaps = 18,
		.n_free = 19,
		.n_page_free = 20,
		.largest_n_page_free = 21,
		.largest_n_free = 22,
		.n_mmapped = 23,
		.n_anchored = 24,
		.heap_usec = 25,
		.rss_usec = 26,
	};
	const struct stats s = stats_of(&wire, foreign), alone = stats_of(&wire, NULL);

	CHECK_EQ(s.rss, 1);
	CHECK_EQ(s.heap_rss, 2);
	CHECK_EQ(s.heap_huge, 3);
	CHECK_EQ(s.heap_swap, 4);
	CHECK_EQ(s.system, 5);
	CHECK_EQ(s.in_use, 6);
	CHECK_EQ(s.free, 7);
	CHECK_EQ(s.mmapped, 8);
	CHECK_EQ(s.whole_pages, 9);
	CHECK_EQ(s.main_top, 10);
	CHECK_EQ(s.other_tops, 11);
	CHECK_EQ(s.unsorted, 12);
	CHECK_EQ(s.largest_pages, 13);
	CHECK_EQ(s.hollow, 15);
	CHECK_EQ(s.flags, 16);
	CHECK_EQ(s.n_arenas, 17);
	CHECK_EQ(s.n_heaps, 18);
	CHECK_EQ(s.n_free, 19);
	CHECK_EQ(s.n_page_free, 20);
	CHECK_EQ(s.largest_n_page_free, 21);
	CHECK_EQ(s.largest_n_free, 22);
	CHECK_EQ(s.n_mmapped, 23);
	CHECK_EQ(s.n_anchored, 24);
	CHECK_EQ(s.heap_usec, 25);
	CHECK_EQ(s.rss_usec, 26);
	CHECK(stats_foreign(&s, 0) == &foreign[0] && stats_foreign(&s, 1) == &foreign[1]);
	CHECK(!stats_foreign(&s, 2) && !stats_foreign(&alone, 0));
}

static void test_more_arenas_than_are_counted_are_not_few(void)
{
	const struct wire_stats wire = { .n_arenas = 65536, .n_heaps = UINT32_MAX };
	const struct stats s = stats_of(&wire, NULL);

	CHECK_EQ(s.n_arenas, UINT16_MAX);
	CHECK_EQ(s.n_heaps, UINT16_MAX);
}

int main(void)
{
	RUN(test_more_arenas_than_are_counted_are_not_few);
	RUN(test_resident_holes_are_expected_to_go);
	RUN(test_right_after_a_trim_nothing_is_expected);
	RUN(test_only_what_is_free_counts_as_swapped_in_vain);
	RUN(test_untouched_address_space_is_not_retained);
	RUN(test_the_main_top_goes_and_other_tops_stay);
	RUN(test_no_more_goes_than_there_are_pages);
	RUN(test_holes_below_a_page_are_not_retained);
	RUN(test_what_stayed_after_a_release_corrects_the_next);
	RUN(test_what_caches_of_ended_threads_gave_back_is_no_error);
	RUN(test_what_was_learnt_stays_when_threads_have_ended);
	RUN(test_without_a_walk_of_the_heap_nothing_is_known);
	RUN(test_figures_of_liars_are_survived);
	RUN(test_the_stall_is_that_of_the_costliest_arena);
	RUN(test_chunks_already_empty_still_cost_their_visit);
	RUN(test_who_does_not_work_is_trimmed_faster);
	RUN(test_huge_pages_are_dropped_faster);
	RUN(test_a_release_takes_as_long_as_all_arenas);
	RUN(test_borrowing_reaches_anchored_arenas_and_their_tops);
	RUN(test_what_has_come_since_the_figures_is_borrowed_at_the_pace_of_what_was);
	RUN(test_what_is_kept_of_an_answer_is_what_was_said);

	return TEST_RESULT();
}
