/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <limits.h>
#include <sys/mman.h>

#include "libhook/anchor.h"
#include "libhook/borrow.h"
#include "libhook/mem.h"

/*
 * The ladder of sizes. Each piece of a hole loses one page at its end, so the large steps
 * may be coarse; below, a hole loses up to one step at its end. And they have to be: glibc
 * keeps free chunks of so many sizes in a few lists by size, and looks for the smallest that
 * fits from their low ends. These are the low ends: there the first one fits, where a few
 * kilobytes more would have it walk past thousands.
 */
static const size_t coarse_steps[] = {
	(size_t)2 << 20, (size_t)1 << 20, (size_t)768 << 10, (size_t)512 << 10, (size_t)256 << 10,
};

#define LARGEST_BYTES ((size_t)2 << 20)
#define COARSE_BYTES ((size_t)256 << 10)
#define FINE_BYTES ((size_t)16 << 10)

/*
 * Free chunks without a resident page, in a row, before a size is given up. Where other
 * sizes gave nothing either, two more than the one that is no surprise are enough.
 */
#define MISSES_MAX 8
#define MISSES_MIN 2

/* Chunks too small or ill-placed to hold a whole page, likewise. */
#define PAGELESS_MAX 512

/* After so many chunks with pages in a row only every so many are looked at before. */
#define STREAK 8
#define STREAK_LOOK 4
#define SHARE_ONE 1024

/*
 * A freed chunk waits in one list until some allocation sorts all that wait, in one go:
 * ours, after every so many, so that none of the program's has to sort many.
 */
#define SORT_EVERY 32
#define SORT_BYTES 2048

/*
 * Work, then rest: who sleeps now and then is not taken off its CPU while it holds a lock.
 * Who oversleeps has no CPU to spare, and rests as long as it worked.
 */
#define WORK_USEC 300
#define REST_USEC 50
#define REST_CROWDED_USEC 400
#define ASK_USEC 20000

/*
 * Who waited for an arena meanwhile is woken when we leave it, and needs some time to come:
 * were we back first, it would wait for the next call as well, and the one after that.
 */
#define LONG_CALL_USEC 500

/*
 * Large chunks that no hole fits come from the top, where the first writes need new pages:
 * at a memory limit the fault would end the program. So first so much is dropped from small
 * holes, whose pages are there.
 */
#define FIRST_BYTES ((uint64_t)512 << 10)
#define FIRST_CHUNKS 32

/* At the beginning of every borrowed chunk. */
struct loan {
	struct loan *next;
	size_t bytes;
	bool was_anchor; /* becomes one again */
	bool moved;      /* from where the anchor was */
};

struct borrow {
	const struct borrow_order *order;
	struct wire_reclaim_reply *reply;
	uint64_t begin_usec;
	uint64_t now_usec;
	uint64_t rested_usec;
	uint64_t asked_usec;
	long rest_usec;
	size_t share; /* of the last chunk looked at, what was resident */
	bool over;
	unsigned char resident[2 * LARGEST_BYTES / 4096 + 1];
};

/* The arena at hand. */
struct lender {
	struct borrow *borrow;
	struct anchor_block *anchors;
	struct loan *held;
	size_t reservoir_bytes;  /* see fence_reservoir() */
	unsigned int misses_max; /* for the next size */
	bool mints;              /* an anchor that moved comes back, see take() */
};

enum found {
	FOUND_PAGES,    /* and dropped them */
	FOUND_ONE,      /* just one, likewise: where a split has written its header */
	FOUND_NOTHING,  /* no page of it is resident */
	FOUND_PAGELESS, /* it holds no whole page */
};

static void end(struct borrow *borrow, enum wire_end why)
{
	if (!borrow->over)
		borrow->reply->end = why;
	borrow->over = true;
}

static void rest(struct borrow *borrow)
{
	const uint64_t begin_usec = borrow->now_usec;
	struct timespec span = { 0, borrow->rest_usec * 1000 };

	if (begin_usec - borrow->rested_usec >= LONG_CALL_USEC)
		span.tv_nsec = REST_CROWDED_USEC * 1000;
	(void)SYS(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &span, NULL);
	borrow->now_usec = borrow->rested_usec = sys_now_usec();
	borrow->rest_usec = borrow->now_usec - begin_usec > 4 * (uint64_t)span.tv_nsec / 1000 + 100 ?
				    REST_CROWDED_USEC : REST_USEC;
}

/* Between two calls into the allocator. */
static void look_around(struct borrow *borrow)
{
	const struct borrow_order *order = borrow->order;

	if (borrow->now_usec - borrow->rested_usec >= WORK_USEC)
		rest(borrow);
	if (borrow->over)
		return;

	if (order->limit_bytes > 0 && borrow->reply->dropped >= order->limit_bytes)
		end(borrow, WIRE_END_BYTES);
	if (order->limit_usec > 0 && borrow->now_usec - borrow->begin_usec >= order->limit_usec)
		end(borrow, WIRE_END_TIME);
	if (borrow->now_usec - borrow->asked_usec >= ASK_USEC) {
		if (!order->go_on(order->arg))
			end(borrow, WIRE_END_LEFT);
		borrow->asked_usec = borrow->now_usec;
	}
}

/* Since then a call into the allocator was made, or two, and nothing else. */
static void note_stall(struct borrow *borrow, uint64_t since_usec)
{
	borrow->now_usec = sys_now_usec();
	if (borrow->now_usec - since_usec > borrow->reply->stall_usec)
		borrow->reply->stall_usec = borrow->now_usec - since_usec;
}

static void push(struct lender *lender, struct anchor_block *anchor)
{
	anchor->next = lender->anchors;
	lender->anchors = anchor;
}

/*
 * A mapping of its own is no use here, and freeing a large one would move glibc's dynamic
 * threshold for good: make it small first.
 */
static void drop_mapping(void *block)
{
	void *small = realloc(block, FINE_BYTES / 2);

	free(small ? small : block);
}

/*
 * A chunk of @bytes from the arena of the anchor. Moving it leaves its old block in our
 * thread's cache, from where the next malloc() takes it back: the anchor anew, in its old
 * place. Where it does not (glibc 2.42 and later, or the anchor grew where it was), the
 * chunk becomes the anchor when it is given back.
 */
static struct loan *take(struct lender *lender, size_t bytes)
{
	struct anchor_block *anchor = lender->anchors;
	const uintptr_t old = (uintptr_t)anchor;
	struct anchor_block *again = NULL;
	const uint64_t begin_usec = sys_now_usec();
	struct loan *loan;
	bool back, moved;

	if (!anchor)
		return NULL;

	lender->anchors = anchor->next;
	loan = realloc(anchor, bytes);
	if (!loan) {
		push(lender, anchor);
		return NULL;
	}
	if ((uintptr_t)loan != old)
		again = malloc(ANCHOR_BYTES);
	note_stall(lender->borrow, begin_usec);

	back = (uintptr_t)again == old;
	moved = (uintptr_t)loan != old;
	if (moved)
		lender->mints = back;
	if (back)
		push(lender, again);
	else
		free(again);

	if (anchor_is_mapping(loan)) {
		drop_mapping(loan);
		return NULL;
	}

	loan->bytes = bytes;
	loan->was_anchor = !back;
	loan->moved = moved;
	loan->next = lender->held;
	lender->held = loan;
	lender->borrow->reply->n_borrowed++;
	return loan;
}

/* Gives back what was taken last. */
static void give_back(struct lender *lender)
{
	struct loan *loan = lender->held;
	const uint64_t begin_usec = sys_now_usec();

	lender->held = loan->next;
	if (loan->was_anchor) {
		struct anchor_block *anchor = realloc(loan, ANCHOR_BYTES);

		if (anchor)
			push(lender, anchor);
	} else {
		free(loan);
	}
	note_stall(lender->borrow, begin_usec);
}

static void give_all_back(struct lender *lender)
{
	unsigned int n = 0;

	while (lender->held) {
		give_back(lender);
		if (++n % SORT_EVERY == 0 && take(lender, SORT_BYTES))
			give_back(lender);
		look_around(lender->borrow);
	}
}

static size_t count_resident(struct borrow *borrow, uintptr_t begin, size_t bytes)
{
	size_t n = 0;

	if (SYS(SYS_mincore, begin, bytes, borrow->resident) < 0)
		return 0;

	for (size_t i = 0; i < bytes / borrow->order->page_bytes; i++)
		n += borrow->resident[i] & 1U;

	return n;
}

/* @look: see first whether there is anything to drop; else take it to be as the last one. */
static enum found drop_pages(struct borrow *borrow, const struct loan *loan, bool look)
{
	const uintptr_t page_bytes = borrow->order->page_bytes;
	const uintptr_t begin = ((uintptr_t)(loan + 1) + page_bytes - 1) & ~(page_bytes - 1);
	const uintptr_t limit = ((uintptr_t)loan + loan->bytes) & ~(page_bytes - 1);
	size_t n_pages, n_resident;

	if (begin >= limit)
		return FOUND_PAGELESS;

	n_pages = (limit - begin) / page_bytes;
	if (look) {
		n_resident = count_resident(borrow, begin, limit - begin);
		borrow->share = n_resident * SHARE_ONE / n_pages;
	} else {
		n_resident = (n_pages * borrow->share + SHARE_ONE - 1) / SHARE_ONE;
	}
	if (n_resident == 0)
		return FOUND_NOTHING;
	/* Locked memory cannot be dropped, and there is no use in trying on. */
	if (SYS(SYS_madvise, begin, limit - begin, MADV_DONTNEED) < 0) {
		end(borrow, WIRE_END_DONE);
		return FOUND_NOTHING;
	}

	borrow->reply->dropped += n_resident * page_bytes;
	return n_resident > 1 ? FOUND_PAGES : FOUND_ONE;
}

/* The last two came from one place, one behind the other. */
static bool is_adjacent(const struct lender *lender)
{
	const struct loan *loan = lender->held, *before = loan->next;

	return before && (uintptr_t)loan - (uintptr_t)before <= before->bytes + 64 &&
	       (uintptr_t)loan > (uintptr_t)before;
}

/*
 * Sizes that no hole has are served from the top, which may have to grow for each of
 * them, and shrink again. So the first time that happens a piece of it is fenced off: two
 * chunks that go back at once, behind them a third that stays. What no hole fits comes
 * from there from now on, since the allocator prefers the smallest that fits.
 */
static bool fence_reservoir(struct lender *lender, size_t bytes)
{
	struct wire_reclaim_reply *reply = lender->borrow->reply;
	struct loan *fence;

	if (reply->grown < 3 * (uint64_t)bytes)
		reply->grown = 3 * (uint64_t)bytes;
	fence = take(lender, bytes);
	if (!fence)
		return false;
	if (!is_adjacent(lender)) {
		give_back(lender);
		return false;
	}

	lender->reservoir_bytes = 2 * bytes;
	lender->held = fence->next;
	give_back(lender);
	give_back(lender);
	fence->next = lender->held;
	lender->held = fence;
	return true;
}

/* What no hole fits goes back at once, or it would be taken from the program for nothing. */
static void return_fresh(struct lender *lender, size_t bytes)
{
	if (lender->reservoir_bytes == 0 && fence_reservoir(lender, bytes))
		return;

	give_back(lender);
	give_back(lender);
}

/* Chunks of one size that hold resident pages: @n_max, or all that can be found. */
static bool empty_size(struct lender *lender, size_t bytes, unsigned int n_max)
{
	struct borrow *borrow = lender->borrow;
	unsigned int n_misses = 0, n_pageless = 0, n_found = 0;

	while (n_found < n_max && !borrow->over && take(lender, bytes)) {
		const bool look = n_misses > 0 || n_found < STREAK || n_found % STREAK_LOOK == 0;
		const enum found found = drop_pages(borrow, lender->held, look);

		/* The top, or what is left of a hole that was emptied before. */
		if (n_misses > 0 && found != FOUND_PAGES && is_adjacent(lender)) {
			return_fresh(lender, bytes);
			break;
		}

		switch (found) {
		case FOUND_PAGES:
		case FOUND_ONE:
			n_misses = n_pageless = 0;
			n_found++;
			lender->misses_max = MISSES_MAX;
			break;
		case FOUND_PAGELESS:
			n_pageless++;
			break;
		case FOUND_NOTHING:
			n_misses++;
			break;
		}
		if (n_misses > lender->misses_max || n_pageless > PAGELESS_MAX) {
			lender->misses_max = MISSES_MIN;
			break;
		}
		look_around(borrow);
	}

	return n_found > 0;
}

static size_t next_size(size_t bytes)
{
	const size_t step = bytes > FINE_BYTES ? bytes / 32 : bytes / 64;

	return (bytes - step) & ~(size_t)15;
}

/*
 * The largest size that does not get a mapping of its own for want of a hole. Tried in our
 * own arena, where there are none.
 */
static size_t largest_unmapped(void)
{
	size_t bytes = LARGEST_BYTES;

	for (; bytes > FINE_BYTES; bytes /= 2) {
		void *block = malloc(bytes);

		if (!block)
			continue;
		if (!anchor_is_mapping(block)) {
			free(block);
			break;
		}
		drop_mapping(block);
	}

	return bytes;
}

/*
 * From the largest size down. First a look at the low end of a span of sizes: what comes
 * is the smallest that fits, and where that has nothing to give, neither has the span.
 */
static void descend(struct lender *lender, size_t largest)
{
	const size_t smallest = lender->borrow->order->page_bytes + 512;
	size_t low;

	for (size_t i = 0; i < sizeof(coarse_steps) / sizeof(*coarse_steps); i++)
		if (coarse_steps[i] <= largest)
			(void)empty_size(lender, coarse_steps[i], UINT_MAX);
	for (size_t high = largest < COARSE_BYTES ? largest : COARSE_BYTES; high >= smallest; high = low) {
		low = high - high / 4;
		low = (low > smallest ? low : smallest) & ~(size_t)15;

		if (empty_size(lender, low, 1))
			for (size_t bytes = high; bytes >= low; bytes = next_size(bytes))
				(void)empty_size(lender, bytes, UINT_MAX);
		if (low == high)
			break;
	}

	/* Each try at the reservoir has left a page of it resident. */
	if (lender->reservoir_bytes > 0 && take(lender, lender->reservoir_bytes))
		(void)drop_pages(lender->borrow, lender->held, true);

	give_all_back(lender);
}

/* Do anchors come back here? The first may grow where it is, which tells nothing. */
static void find_way(struct lender *lender)
{
	while (lender->anchors && take(lender, SORT_BYTES) && !lender->held->moved)
		;
	while (lender->held)
		give_back(lender);
}

static void empty_arena(struct lender *lender)
{
	find_way(lender);

	/*
	 * Where anchors do not come back, each is good for one chunk, and lost to a mapping:
	 * the largest chunks are taken, and none that might become one.
	 */
	descend(lender, lender->mints ? LARGEST_BYTES : largest_unmapped());
}

/* An arena of several heaps may have an anchor in each: one is enough. */
static bool is_known(uintptr_t arenas[static ANCHORS_MAX], unsigned int i)
{
	arenas[i] = anchor_arena(i);
	for (unsigned int j = 0; j < i && arenas[i] != 0; j++)
		if (arenas[j] == arenas[i])
			return true;

	return false;
}

static void begin_small(struct borrow *borrow, unsigned int n_anchors)
{
	for (unsigned int i = 0; i < n_anchors && borrow->reply->dropped < FIRST_BYTES; i++) {
		struct lender lender = { .borrow = borrow, .anchors = anchor_take(i) };

		find_way(&lender);
		for (unsigned int n = 0; n < FIRST_CHUNKS && lender.mints && take(&lender, FINE_BYTES); n++)
			if (drop_pages(borrow, lender.held, true) != FOUND_PAGES)
				break;
		give_all_back(&lender);
		anchor_put(i, lender.anchors);
	}
}

bool borrow_release(const struct borrow_order *order, struct wire_reclaim_reply *reply)
{
	static uintptr_t arenas[ANCHORS_MAX];
	static struct borrow borrow;
	const unsigned int n = anchor_count();

	if (!malloc || !realloc || !free || order->page_bytes < 4096 || n == 0)
		return false;

	borrow = (struct borrow){ .order = order, .reply = reply, .rest_usec = REST_USEC };
	borrow.begin_usec = borrow.now_usec = borrow.rested_usec = borrow.asked_usec = sys_now_usec();
	begin_small(&borrow, n);
	for (unsigned int i = 0; i < n && !borrow.over; i++) {
		struct lender lender = { .borrow = &borrow, .misses_max = MISSES_MAX };

		if (is_known(arenas, i))
			continue;
		reply->n_arenas++;
		lender.anchors = anchor_take(i);
		if (!lender.anchors)
			continue;
		empty_arena(&lender);
		reply->n_reached += lender.mints;
		anchor_put(i, lender.anchors);
	}

	return true;
}
