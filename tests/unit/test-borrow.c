/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * In which order holes are taken and come back, over a model of glibc's lists of free chunks
 * that counts how far each call has to walk: what keeps an arena's lock long is that, and it
 * cannot be seen from outside but by the clock.
 */

#include "libhook/borrow.c"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define HOLES 300
#define PARTS (3 * HOLES)
#define SPACE_BYTES ((size_t)512 << 20)

/* A part of a hole. Between holes lies something that is in use. */
static struct part {
	uintptr_t begin;
	size_t bytes;
	unsigned int hole;
	bool lent;
} parts[PARTS];

static unsigned int n_parts;
static uintptr_t space;
static unsigned long n_calls, n_walked, n_far;
static unsigned int n_freed, n_lent, most_lent;
static size_t least_of_half; /* when half of them were back, the smallest that was not */

/* A good part of a list. */
#define FAR (HOLES / 4)

/* As glibc numbers its lists. */
static unsigned int list_of(size_t bytes)
{
	if (bytes >> 6 <= 48)
		return 48 + (unsigned int)(bytes >> 6);
	if (bytes >> 9 <= 20)
		return 91 + (unsigned int)(bytes >> 9);
	if (bytes >> 12 <= 10)
		return 110 + (unsigned int)(bytes >> 12);
	if (bytes >> 15 <= 4)
		return 119 + (unsigned int)(bytes >> 15);
	if (bytes >> 18 <= 2)
		return 124 + (unsigned int)(bytes >> 18);

	return 126;
}

/*
 * A list is searched from its smallest chunk up, and a place for one looked for from its largest
 * down, but for one that is smaller than all.
 */
static void walk(size_t bytes, bool search)
{
	unsigned long n_smaller = 0, n_larger = 0, n;

	for (unsigned int i = 0; i < n_parts; i++)
		if (!parts[i].lent && list_of(parts[i].bytes) == list_of(bytes)) {
			n_smaller += parts[i].bytes < bytes;
			n_larger += parts[i].bytes > bytes;
		}
	n = search ? n_smaller : n_smaller > 0 ? n_larger : 0;
	n_calls++;
	n_walked += n;
	n_far += n > FAR;
}

/* The hole behind the anchor, which grows into it where it can. */
static uintptr_t begin_behind;

static struct part *smallest_of(size_t bytes)
{
	struct part *best = NULL;

	for (unsigned int i = 0; i < n_parts; i++)
		if (!parts[i].lent && parts[i].bytes >= bytes &&
		    parts[i].begin == begin_behind)
			return &parts[i];
	for (unsigned int i = 0; i < n_parts; i++)
		if (!parts[i].lent && parts[i].bytes >= bytes && (!best || parts[i].bytes < best->bytes))
			best = &parts[i];

	return best;
}

/* How long each took. */
static uint64_t usec_per_loan;

struct loan *loan_take(struct lender *lender, size_t bytes)
{
	const size_t chunk_bytes = (bytes + 23) & ~(size_t)15;
	struct part *part = smallest_of(chunk_bytes);
	struct loan *loan;

	if (!part)
		return NULL;
	if (list_of(part->bytes) == list_of(chunk_bytes))
		walk(chunk_bytes, true);
	if (part->bytes - chunk_bytes >= 32 && n_parts < PARTS) {
		parts[n_parts++] = (struct part){ .begin = part->begin + chunk_bytes,
						  .bytes = part->bytes - chunk_bytes,
						  .hole = part->hole };
		part->bytes = chunk_bytes;
		*(volatile char *)(parts[n_parts - 1].begin + 8) = 1;
		walk(parts[n_parts - 1].bytes, false);
	}
	part->lent = true;
	if (++n_lent > most_lent)
		most_lent = n_lent;

	loan = (struct loan *)(part->begin + 16);
	*loan = (struct loan){ .next = lender->held, .bytes = bytes, .moved = part->begin != begin_behind,
			       .list = lender->list };
	lender->held = loan;
	lender->mints |= loan->moved;
	lender->reply->n_borrowed++;
	lender->now_usec += usec_per_loan;
	return loan;
}

static struct part *part_of(const void *block)
{
	for (unsigned int i = 0; i < n_parts; i++)
		if (parts[i].begin + 16 == (uintptr_t)block)
			return &parts[i];

	abort();
}

/* Meanwhile the program has freed the smallest chunk there can be in each list. */
static void free_others(void)
{
	uintptr_t begin = space + SPACE_BYTES / 2;

	for (size_t bytes = LAST_LIST_BYTES; bytes > 4608; bytes = list_below(bytes)) {
		parts[n_parts++] = (struct part){ .begin = begin, .bytes = bytes, .hole = HOLES + n_freed++ };
		begin += 2 * bytes;
	}
}

void loan_give_back(struct lender *lender)
{
	struct part *part = part_of(lender->held);

	if (n_calls > HOLES && n_freed == 0)
		free_others();
	lender->held = lender->held->next;
	part->lent = false;
	if (--n_lent == most_lent / 2) {
		least_of_half = SIZE_MAX;
		for (unsigned int i = 0; i < n_parts; i++)
			if (parts[i].lent && parts[i].bytes < least_of_half)
				least_of_half = parts[i].bytes;
	}
	for (unsigned int i = 0; i < n_parts; i++) {
		struct part *other = &parts[i];

		if (other == part || other->lent || other->hole != part->hole ||
		    (other->begin + other->bytes != part->begin && part->begin + part->bytes != other->begin))
			continue;
		part->begin = part->begin < other->begin ? part->begin : other->begin;
		part->bytes += other->bytes;
		*other = parts[--n_parts];
		if (part == &parts[n_parts])
			part = other;
		/* Both sides may be free. */
		i = UINT_MAX;
	}
	walk(part->bytes, false);
}

size_t loan_unmapped(size_t largest)
{
	return largest;
}

bool loan_is_filled(void)
{
	return false;
}

size_t anchor_bytes(const void *block)
{
	return part_of(block)->bytes;
}

size_t anchor_hole(const void *block, size_t bytes)
{
	const struct part *part = part_of(block);

	(void)bytes;
	for (unsigned int i = 0; i < n_parts; i++)
		if (parts[i].begin == part->begin + part->bytes && parts[i].hole == part->hole)
			return part->bytes + parts[i].bytes;

	return part->bytes;
}

bool anchor_is_cut(const void *block)
{
	return anchor_hole(block, 0) > part_of(block)->bytes;
}

static struct anchor_block the_anchor;
static unsigned int n_anchors = 1;

unsigned int anchor_count(void)
{
	return n_anchors;
}

struct anchor_block *anchor_take(unsigned int i)
{
	(void)i;
	return &the_anchor;
}

void anchor_put(unsigned int i, struct anchor_block *blocks)
{
	(void)i;
	(void)blocks;
}

uintptr_t anchor_arena(unsigned int i)
{
	(void)i;
	return 1;
}

static bool go_on(void *arg)
{
	(void)arg;
	return true;
}

static bool is_asked(void *arg)
{
	(void)arg;
	return false;
}

/* Of the space, which pages are in swap, and how many of them were told: those are dropped. */
static bool in_swap[SPACE_BYTES / 4096];
static bool is_swapping;
static size_t n_swapped, n_told;

uint64_t proc_swapped(void)
{
	return is_swapping ? n_swapped * 4096 : 0;
}

bool proc_open_pages(void)
{
	CHECK(is_swapping);
	return true;
}

uint64_t proc_swapped_pages(uint64_t begin, uint64_t n_pages)
{
	bool *at = &in_swap[begin - space / 4096];
	uint64_t n = 0;

	CHECK(is_swapping);
	for (uint64_t i = 0; i < n_pages; i++) {
		n += at[i];
		at[i] = false;
	}
	n_told += n;
	return n;
}

/* Holes of many sizes, in no order, with all pages or none. */
static void make_holes(size_t least, size_t most, bool resident)
{
	uintptr_t begin = space;

	CHECK(madvise((void *)space, SPACE_BYTES, MADV_DONTNEED) == 0);
	n_parts = 0;
	n_calls = n_walked = n_far = 0;
	n_freed = n_lent = most_lent = 0;
	for (unsigned int i = 0; i < HOLES; i++) {
		const size_t bytes = (least + (most - least) * (i * 97 % HOLES) / HOLES) & ~(size_t)15;

		parts[n_parts++] = (struct part){ .begin = begin, .bytes = bytes, .hole = i };
		for (size_t at = 0; resident && at < bytes; at += 4096)
			*(volatile char *)(begin + at) = 1;
		begin += bytes + 80;
	}
	CHECK(begin < space + SPACE_BYTES / 2);
}

static struct wire_reclaim_reply release(void)
{
	struct wire_reclaim_reply reply = { .method = WIRE_METHOD_BORROW };
	const struct borrow_order order = {
		.page_bytes = 4096, .go_on = go_on, .asked = is_asked, .may_call = go_on
	};

	CHECK(borrow_release(&order, &reply));
	CHECK_EQ(reply.end, WIRE_END_DONE);
	return reply;
}

static size_t resident_bytes(void)
{
	static unsigned char pages[SPACE_BYTES / 4096];
	size_t n = 0;

	CHECK(mincore((void *)space, SPACE_BYTES, pages) == 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		n += pages[i] & 1U;

	return n * 4096;
}

uint64_t proc_rss(uint64_t page_bytes)
{
	CHECK_EQ(page_bytes, 4096);
	return resident_bytes();
}

static const struct {
	size_t least, most;
} heaps[] = { { 600 << 10, 1 << 20 }, { 270 << 10, 500 << 10 }, { 100 << 10, 1 << 20 },
	      { 16 << 10, 160 << 10 }, { 8192, 24576 } };

static void test_lists_begin_where_those_of_glibc_do(void)
{
	size_t begin = LAST_LIST_BYTES;

	CHECK(list_of(LAST_LIST_BYTES) == list_of(SIZE_MAX / 2));
	for (size_t bytes = LAST_LIST_BYTES; bytes > 4096; bytes -= 16) {
		if (list_of(bytes - 16) == list_of(bytes))
			continue;
		CHECK_EQ(begin, bytes);
		begin = list_below(begin);
	}
}

static void test_a_hole_is_filled_by_what_is_asked_for(void)
{
	for (size_t hole = 4096; hole < LARGEST_BYTES; hole += 16)
		CHECK_EQ((fill(hole) + 23) & ~(size_t)15, hole - 16);
}

static void test_calls_do_not_walk_far_through_lists(void)
{
	for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++) {
		make_holes(heaps[i].least, heaps[i].most, true);
		(void)release();
		CHECK(n_calls > HOLES);
		/* The second hole of those that come before all goes back behind the first. */
		CHECK(n_far <= 1);
		CHECK(n_walked < 8 * n_calls);
	}
}

static void test_a_search_begins_in_the_list_it_is_for(void)
{
	for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++) {
		make_holes(heaps[i].least, heaps[i].most, true);
		/* In each list the largest there can be, which fits what the next one begins with. */
		for (size_t bytes = LAST_LIST_BYTES, at = space + SPACE_BYTES / 2; bytes > 4608;
		     bytes = list_below(bytes), at += 2 * bytes) {
			parts[n_parts] = (struct part){ .begin = at, .bytes = bytes - 16,
							.hole = 2 * HOLES + n_parts };
			n_parts++;
		}
		n_freed = 1;
		(void)release();
		CHECK(n_calls > HOLES);
		CHECK_EQ(n_far, 0);
	}
}

/* What the program takes meanwhile is found there, and need not be cut from the large ones. */
static void test_the_small_holes_come_back_first(void)
{
	make_holes(100 << 10, 1 << 20, true);
	(void)release();
	CHECK(most_lent >= HOLES);
	CHECK(least_of_half >= 500 << 10);
	CHECK_EQ(n_lent, 0);
}

static void test_each_hole_is_taken_once_and_whole(void)
{
	for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++) {
		struct wire_reclaim_reply reply;

		make_holes(heaps[i].least, heaps[i].most, true);
		reply = release();
		CHECK(reply.n_borrowed < HOLES + HOLES / 2);
		/* A page at each end of a hole, which it shares. */
		CHECK(resident_bytes() <= 2 * 4096 * HOLES + 64 * 4096);
		CHECK_EQ(n_parts, HOLES + n_freed);
	}
}

static void test_an_anchor_before_a_hole_hides_no_other(void)
{
	for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++) {
		make_holes(heaps[i].least, heaps[i].most, true);
		/* One of the largest: most lists come after it. */
		begin_behind = parts[HOLES - 2].begin;
		(void)release();
		begin_behind = 0;
		CHECK(resident_bytes() <= 2 * 4096 * HOLES + 64 * 4096);
		CHECK_EQ(n_parts, HOLES + n_freed);
	}
}

static void test_an_empty_heap_is_left_as_it_was(void)
{
	for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++) {
		struct wire_reclaim_reply reply;

		make_holes(heaps[i].least, heaps[i].most, false);
		reply = release();
		CHECK(reply.n_borrowed < HOLES);
		/* Where a loan begins, and what is behind it. */
		CHECK(resident_bytes() <= 2 * 4096 * reply.n_borrowed);
		CHECK_EQ(n_parts, HOLES + n_freed);
	}
}

static void test_what_is_swapped_out_is_given_back(void)
{
	for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++) {
		make_holes(heaps[i].least, heaps[i].most, false);
		n_swapped = n_told = 0;
		memset(in_swap, 0, sizeof(in_swap));
		for (unsigned int j = 0; j < n_parts; j++)
			for (size_t at = 4096; at + 8192 <= parts[j].bytes; at += 4096, n_swapped++)
				in_swap[(parts[j].begin + at - space) / 4096] = true;

		is_swapping = true;
		(void)release();
		is_swapping = false;
		CHECK(n_told > n_swapped * 9 / 10);
		CHECK_EQ(n_parts, HOLES + n_freed);
	}
}

/* Row 26 of the hazards, and the one below. A sanitizer's mlock() does nothing. */
static void test_a_locked_page_costs_its_own_chunk_alone(void)
{
	for (size_t i = 0; i < sizeof(heaps) / sizeof(*heaps); i++) {
		uintptr_t page;

		make_holes(heaps[i].least, heaps[i].most, true);
		/* One of the largest, which are taken first. */
		page = (parts[HOLES - 2].begin + 2 * 4096 - 1) & ~(uintptr_t)4095;
		CHECK(syscall(SYS_mlock, page, 4096) == 0);
		(void)release();
		CHECK(syscall(SYS_munlock, page, 4096) == 0);
		CHECK(resident_bytes() <= 2 * 4096 * HOLES + 64 * 4096 + heaps[i].most);
		CHECK_EQ(n_parts, HOLES + n_freed);
	}
}

static void test_where_all_is_locked_it_soon_gives_up(void)
{
	size_t bytes;

	make_holes(8192, 24576, true);
	bytes = parts[HOLES - 1].begin + parts[HOLES - 1].bytes - space;
	/* What is locked already is counted as well, and a user may lock 8 MiB. */
	CHECK(syscall(SYS_mlock, space, bytes) == 0);
	CHECK(release().n_borrowed < 2 * LOCKED_MAX);
	CHECK(syscall(SYS_munlock, space, bytes) == 0);
	CHECK_EQ(n_lent, 0);
}

static void test_the_first_small_holes_are_no_exception_when_time_is_up(void)
{
	struct wire_reclaim_reply reply = { .method = WIRE_METHOD_BORROW };
	const struct borrow_order order = {
		.page_bytes = 4096, .limit_usec = 1, .go_on = go_on, .asked = is_asked, .may_call = go_on
	};

	make_holes(8192, 24576, false);
	n_anchors = ANCHORS_MAX;
	usec_per_loan = 10;
	CHECK(borrow_release(&order, &reply));
	CHECK_EQ(reply.end, WIRE_END_TIME);
	/* Of one arena alone. */
	CHECK(reply.n_borrowed < 2 + FIRST_CHUNKS);
	CHECK_EQ(n_lent, 0);
	n_anchors = 1;
	usec_per_loan = 0;
}

/* A millisecond for each time that somebody looks. */
static int slow_clock(clockid_t id, struct timespec *ret)
{
	static long msec;

	(void)id;
	msec++;
	*ret = (struct timespec){ msec / 1000, msec % 1000 * 1000000 };
	return 0;
}

static bool go_on_once(void *arg)
{
	return ++*(unsigned int *)arg == 1;
}

/* The daemon goes, or a filter comes: it is asked every 20 ms, and nothing stays held. */
static void test_it_ends_when_it_may_not_go_on(void)
{
	struct wire_reclaim_reply reply = { .method = WIRE_METHOD_BORROW };
	unsigned int n_asked = 0;
	const struct borrow_order order = {
		.page_bytes = 4096, .go_on = go_on_once, .asked = is_asked, .may_call = go_on, .arg = &n_asked
	};

	make_holes(16 << 10, 160 << 10, true);
	sys_clock = slow_clock;
	usec_per_loan = WORK_USEC;
	CHECK(borrow_release(&order, &reply));
	CHECK_EQ(reply.end, WIRE_END_LEFT);
	CHECK(reply.n_borrowed < HOLES / 2);
	CHECK_EQ(n_asked, 2);
	CHECK_EQ(n_lent, 0);
	sys_clock = NULL;
	usec_per_loan = 0;
}

int main(void)
{
	space = (uintptr_t)mmap(NULL, SPACE_BYTES, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(space != (uintptr_t)MAP_FAILED);

	RUN(test_lists_begin_where_those_of_glibc_do);
	RUN(test_a_hole_is_filled_by_what_is_asked_for);
	RUN(test_calls_do_not_walk_far_through_lists);
	RUN(test_a_search_begins_in_the_list_it_is_for);
	RUN(test_the_small_holes_come_back_first);
	RUN(test_each_hole_is_taken_once_and_whole);
	RUN(test_an_anchor_before_a_hole_hides_no_other);
	RUN(test_an_empty_heap_is_left_as_it_was);
	RUN(test_what_is_swapped_out_is_given_back);
	RUN(test_a_locked_page_costs_its_own_chunk_alone);
	RUN(test_where_all_is_locked_it_soon_gives_up);
	RUN(test_the_first_small_holes_are_no_exception_when_time_is_up);
	RUN(test_it_ends_when_it_may_not_go_on);

	return TEST_RESULT();
}
