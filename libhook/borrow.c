/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/anchor.h"
#include "libhook/borrow.h"
#include "libhook/drop.h"
#include "libhook/loan.h"
#include "libhook/mem.h"
#include "libhook/proc.h"

/*
 * glibc keeps free chunks of many sizes in one list, which it walks from the smallest to find
 * one that fits, and from the largest to put one in: with thousands of sizes in a list each
 * such walk is long, ours and the program's. So a list is emptied from its smallest chunk up,
 * by requests that the first one fits, and filled again in the same order. The lists of the
 * small sizes come back first: what the program takes meanwhile is cut from these, and not from
 * large chunks, each piece of which would go back the long way.
 *
 * The list of the largest sizes begins here. Below, each is as wide as the table says; should
 * a glibc have others, walks get longer.
 */
#define LAST_LIST_BYTES ((size_t)512 << 10)

static const struct {
	size_t from, width;
} lists[] = {
	{ 163840, 262144 }, { 40960, 32768 }, { 10752, 4096 }, { 0, 512 },
};

/* What is larger is taken in pieces. */
#define LARGEST_BYTES DROP_LARGEST_BYTES

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

/*
 * Where the kernel gives huge pages, what the top grows by is resident as soon as its header is
 * written: dropping that gives nothing, and there is always more. So of chunks one behind the
 * other, as those from the top are, after each so many dropped bytes at least half of them have
 * to be gone.
 */
#define RUN_BYTES ((uint64_t)8 << 20)

/*
 * Programs lock a page for a secret, and free it as it is: that is one chunk. So many in a row, and
 * it is all memory, as after mlockall().
 */
#define LOCKED_MAX 8

/* With less than that swapped out, where free memory is swapped out is not looked for. */
#define SWAPPED_LOOK_BYTES ((uint64_t)1 << 20)

struct borrow {
	const struct borrow_order *order;
	struct wire_reclaim_reply *reply;
	uint64_t limit_bytes;
	struct drop drop;
	uint64_t begin_usec;
	uint64_t rested_usec;
	uint64_t asked_usec;
	long rest_usec;
	unsigned int n_locked; /* in a row */
	bool over;
	bool silent; /* a filter has come: no call any more but the allocator's own */

	/* The arena at hand. */
	struct lender lender;
	uintptr_t reservoir; /* see fence_reservoir(); 0: none */
	size_t reservoir_bytes;
	unsigned int misses_max; /* for the next size */
	uint64_t run_dropped;    /* of those one behind the other, so much is known to be gone */
	uint64_t run_seen;       /* when RSS was read for them */
	uint64_t run_rss;        /* then; 0: it was not */
};

static void end(struct borrow *borrow, enum wire_end why)
{
	if (!borrow->over)
		borrow->reply->end = why;
	borrow->over = true;
}

static void rest(struct borrow *borrow)
{
	const uint64_t begin_usec = borrow->lender.now_usec;
	struct timespec span = { 0, borrow->rest_usec * 1000 };

	if (begin_usec - borrow->rested_usec >= LONG_CALL_USEC)
		span.tv_nsec = REST_CROWDED_USEC * 1000;
	(void)SYS(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &span, NULL);
	borrow->lender.now_usec = borrow->rested_usec = sys_now_usec();
	borrow->rest_usec = borrow->lender.now_usec - begin_usec > 4 * (uint64_t)span.tv_nsec / 1000 + 100 ?
				    REST_CROWDED_USEC : REST_USEC;
}

/* Between two calls into the allocator. A filter is seen also while all goes back, which can take long. */
static void look_around(struct borrow *borrow)
{
	const struct borrow_order *order = borrow->order;

	if (borrow->silent)
		return;

	if (borrow->lender.now_usec - borrow->rested_usec >= WORK_USEC) {
		rest(borrow);
		if (!borrow->over && order->asked(order->arg))
			end(borrow, WIRE_END_ASKED);
	}
	if (borrow->limit_bytes > 0 &&
	    borrow->reply->dropped + borrow->drop.swapped_bytes >= borrow->limit_bytes)
		end(borrow, WIRE_END_BYTES);
	if (order->limit_usec > 0 && borrow->lender.now_usec - borrow->begin_usec >= order->limit_usec)
		end(borrow, WIRE_END_TIME);
	if (borrow->lender.now_usec - borrow->asked_usec < ASK_USEC)
		return;

	if (!borrow->over && !order->go_on(order->arg))
		end(borrow, WIRE_END_LEFT);
	borrow->silent = borrow->over && !order->may_call(order->arg);
	borrow->asked_usec = borrow->lender.now_usec;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/*
 * What to ask for so that a hole of @bytes is filled: glibc puts 8 more in front, and gives a
 * hole whole of which 16 would be left. That we get those tells that it was the whole.
 */
static size_t fill(size_t bytes)
{
	return bytes - 16 - sizeof(size_t);
}

/* Where the list below that of @bytes begins, which is such a beginning itself. */
static size_t list_below(size_t bytes)
{
	const size_t last = bytes - 1;

	for (size_t i = 0;; i++)
		if (last >= lists[i].from)
			return larger(last & ~(lists[i].width - 1), lists[i].from);
}

/* What was taken last, turned round: all that is of one list. */
static struct loan *last_list(struct lender *lender)
{
	const uint16_t list = lender->held->list;
	struct loan *first = NULL;

	while (lender->held && lender->held->list == list) {
		struct loan *loan = lender->held;

		lender->held = loan->next;
		loan->next = first;
		first = loan;
	}

	return first;
}

/* List by list, each in the order in which it was taken: see the lists above. */
static void give_all_back(struct borrow *borrow)
{
	struct lender *lender = &borrow->lender;
	unsigned int n = 0;

	while (lender->held) {
		struct loan *loan = last_list(lender), *others = lender->held;

		while (loan) {
			struct loan *next = loan->next;

			loan->next = NULL;
			lender->held = loan;
			loan_give_back(lender);
			if (++n % SORT_EVERY == 0 && !borrow->silent && loan_take(lender, SORT_BYTES))
				loan_give_back(lender);
			look_around(borrow);
			loan = next;
		}
		lender->held = others;
	}
}

/* Locked memory cannot be dropped, and where all is locked there is no use in trying on. */
static enum found drop_pages(struct borrow *borrow, const struct loan *loan, bool look)
{
	const enum found found = drop_chunk(&borrow->drop, (uintptr_t)(loan + 1),
					    (uintptr_t)loan + loan->bytes, look);

	if (found != FOUND_LOCKED) {
		if (found == FOUND_PAGES)
			borrow->n_locked = 0;
		return found;
	}

	if (++borrow->n_locked == LOCKED_MAX)
		end(borrow, WIRE_END_DONE);
	return FOUND_NOTHING;
}

/* The last two came from one place, one behind the other. */
static bool is_adjacent(const struct borrow *borrow)
{
	const struct loan *loan = borrow->lender.held, *before = loan->next;

	return before && (uintptr_t)loan == (uintptr_t)before + anchor_bytes(before);
}

/* The last one ends a run of chunks whose pages were there only because we took them. */
static bool is_hollow_run(struct borrow *borrow, uint64_t dropped_before)
{
	const uint64_t dropped = borrow->reply->dropped;
	uint64_t rss;

	if (!is_adjacent(borrow)) {
		borrow->run_dropped = borrow->run_seen = dropped_before;
		borrow->run_rss = 0;
		return false;
	}
	if (dropped - borrow->run_seen < RUN_BYTES)
		return false;

	rss = proc_rss(borrow->order->page_bytes);
	if (borrow->run_rss > 0 && rss + (dropped - borrow->run_seen) / 2 > borrow->run_rss) {
		borrow->reply->dropped = borrow->run_dropped;
		return true;
	}

	if (borrow->run_rss > 0)
		borrow->run_dropped = dropped;
	borrow->run_seen = dropped;
	borrow->run_rss = rss;
	return false;
}

/*
 * Sizes that no hole has are served from the top, which may have to grow for each of
 * them, and shrink again. So the first time that happens a piece of it is fenced off: two
 * chunks that go back at once, behind them a third that stays. What no hole fits comes
 * from there from now on, since the allocator prefers the smallest that fits.
 */
static bool fence_reservoir(struct borrow *borrow, size_t bytes)
{
	struct lender *lender = &borrow->lender;
	struct loan *first = lender->held->next, *fence;

	fence = loan_take(lender, bytes);
	if (!fence)
		return false;
	if (!is_adjacent(borrow)) {
		loan_give_back(lender);
		return false;
	}

	borrow->reservoir = (uintptr_t)first;
	borrow->reservoir_bytes = (uintptr_t)fence - (uintptr_t)first;
	lender->held = fence->next;
	loan_give_back(lender);
	loan_give_back(lender);
	fence->next = lender->held;
	lender->held = fence;
	return true;
}

/* What was taken last comes from there: no hole fits. */
static bool is_reserved(const struct borrow *borrow)
{
	const uintptr_t loan = (uintptr_t)borrow->lender.held;

	return loan >= borrow->reservoir && loan - borrow->reservoir < borrow->reservoir_bytes;
}

/* What no hole fits goes back at once, or it would be taken from the program for nothing. */
static void return_fresh(struct borrow *borrow)
{
	const size_t bytes = borrow->lender.held->bytes;

	if (borrow->reservoir == 0 && borrow->reply->grown < 3 * (uint64_t)bytes)
		borrow->reply->grown = 3 * (uint64_t)bytes;
	/* As an anchor it would stay there, and grow into the same place again. */
	if (!borrow->lender.mints)
		return;
	if (borrow->reservoir == 0 && fence_reservoir(borrow, bytes))
		return;

	loan_give_back(&borrow->lender);
	loan_give_back(&borrow->lender);
}

/*
 * What fills a hole of @front, but from the list that this is in: in the one below a search
 * would begin at the smallest, to end at one that is 16 too small.
 */
static size_t fill_front(size_t front)
{
	const size_t begin = front < LAST_LIST_BYTES ? list_below(front + 1) : LAST_LIST_BYTES;

	return larger(fill(front), begin - sizeof(size_t));
}

/*
 * The smallest hole of at least @*bytes, which becomes its size if that is below @limit. Is
 * the first chunk not all of it but for a rest worth a page, then it is taken again as a
 * whole: at a border within a hole a page would stay.
 */
static bool take_hole(struct borrow *borrow, size_t *bytes, size_t limit, bool *ret_again)
{
	struct lender *lender = &borrow->lender;
	const size_t front = *bytes;
	size_t hole;

	*ret_again = false;
	if (!loan_take(lender, fill_front(front)))
		return false;
	hole = anchor_hole(lender->held, lender->held->bytes);
	/* Not asked for as one that is 16 larger, so that it does not tell whether it is the whole. */
	if (lender->held->bytes > fill(front) && !anchor_is_cut(lender->held))
		hole = anchor_bytes(lender->held);
	if (hole <= front || hole > LARGEST_BYTES || is_reserved(borrow))
		return true;

	if (hole < limit)
		*bytes = hole;
	if (hole - front < borrow->order->page_bytes)
		return true;

	loan_give_back(lender);
	*ret_again = true;
	return loan_take(lender, fill(hole)) != NULL;
}

/*
 * Takes the smallest chunks from holes of at least @*bytes that hold resident pages, and goes
 * up with them to @limit: each request fits the hole after the last one without a rest worth
 * a page. @limit 0: stays, for as long as there are any. Returns how many were found.
 */
static unsigned int empty_up(struct borrow *borrow, size_t *bytes, size_t limit)
{
	unsigned int n_misses = 0, n_pageless = 0, n_found = 0;
	bool again;

	while ((limit == 0 || *bytes < limit) && !borrow->over &&
	       take_hole(borrow, bytes, limit, &again)) {
		const bool look = n_misses > 0 || n_found < STREAK || n_found % STREAK_LOOK == 0;
		const uint64_t dropped_before = borrow->reply->dropped;
		enum found found;

		if (is_reserved(borrow)) {
			loan_give_back(&borrow->lender);
			break;
		}
		found = drop_pages(borrow, borrow->lender.held, look || again);
		/* Just what the border has left. */
		if (again && found == FOUND_ONE)
			found = FOUND_NOTHING;

		/* The top, or what is left of a hole that was emptied before. */
		if ((n_misses > 0 && found != FOUND_PAGES && is_adjacent(borrow)) ||
		    is_hollow_run(borrow, dropped_before)) {
			return_fresh(borrow);
			break;
		}

		switch (found) {
		case FOUND_PAGES:
		case FOUND_ONE:
			n_misses = n_pageless = 0;
			n_found++;
			borrow->misses_max = MISSES_MAX;
			break;
		case FOUND_PAGELESS:
			n_pageless++;
			break;
		case FOUND_NOTHING:
		case FOUND_LOCKED:
			n_misses++;
			break;
		}
		if (n_misses > borrow->misses_max || n_pageless > PAGELESS_MAX) {
			borrow->misses_max = MISSES_MIN;
			break;
		}
		look_around(borrow);
	}

	return n_found;
}

/*
 * All holes from @low to below @high. What comes first is the smallest that fits: where that
 * has nothing to give, neither have they. A second time for what the first left behind, while
 * the program went on.
 */
static void empty_list(struct borrow *borrow, size_t low, size_t high)
{
	for (int i = 0; i < 2; i++) {
		unsigned int n_found = 0;

		for (size_t bytes = low; bytes < high; bytes += bytes / 4) {
			n_found += empty_up(borrow, &bytes, high);
			if (n_found == 0)
				return;
		}
	}
}

/* From the largest sizes down, so that what is left of a hole is taken with its like. */
static void descend(struct borrow *borrow)
{
	const size_t smallest = borrow->order->page_bytes + 512;
	size_t high = LARGEST_BYTES, low;

	(void)empty_up(borrow, &high, 0);
	for (low = LAST_LIST_BYTES; high > smallest; low = list_below(low)) {
		borrow->lender.list++;
		empty_list(borrow, low, high);
		high = low;
	}

	/* Each try at the reservoir has left a page of it resident. */
	if (borrow->reservoir > 0 && !borrow->silent &&
	    loan_take(&borrow->lender, fill(borrow->reservoir_bytes)))
		(void)drop_pages(borrow, borrow->lender.held, true);
}

/* Do anchors come back here? The first may grow where it is, which tells nothing. */
static void find_way(struct borrow *borrow)
{
	struct lender *lender = &borrow->lender;

	while (lender->anchors && loan_take(lender, SORT_BYTES) && !lender->held->moved)
		;
	while (lender->held)
		loan_give_back(lender);
}

/*
 * Where anchors do not come back, each is good for one chunk, and lost to a mapping: the
 * largest chunks are taken, and none that might become one.
 */
static void empty_largest(struct borrow *borrow)
{
	for (size_t bytes = loan_unmapped(LARGEST_BYTES); bytes >= LOAN_SMALL_BYTES; bytes /= 2) {
		size_t size = bytes;

		(void)empty_up(borrow, &size, 0);
	}
}

static void empty_arena(struct borrow *borrow)
{
	find_way(borrow);
	if (borrow->lender.mints)
		descend(borrow);
	else
		empty_largest(borrow);
	give_all_back(borrow);
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

static void enter_arena(struct borrow *borrow, struct anchor_block *anchors)
{
	borrow->lender.anchors = anchors;
	borrow->lender.held = NULL;
	borrow->lender.list = 0;
	borrow->lender.mints = false;
	borrow->reservoir = borrow->reservoir_bytes = 0;
	borrow->misses_max = MISSES_MAX;
}

static void begin_small(struct borrow *borrow, unsigned int n_anchors)
{
	struct lender *lender = &borrow->lender;

	for (unsigned int i = 0; i < n_anchors && !borrow->over; i++) {
		if (borrow->reply->dropped >= FIRST_BYTES)
			break;
		enter_arena(borrow, anchor_take(i));
		find_way(borrow);
		for (unsigned int n = 0; n < FIRST_CHUNKS && lender->mints; n++)
			if (!loan_take(lender, LOAN_SMALL_BYTES) ||
			    drop_pages(borrow, lender->held, true) != FOUND_PAGES)
				break;
		give_all_back(borrow);
		anchor_put(i, lender->anchors);
	}
}

bool borrow_release(const struct borrow_order *order, struct wire_reclaim_reply *reply)
{
	static uintptr_t arenas[ANCHORS_MAX];
	static struct borrow borrow;
	const unsigned int n = anchor_count();
	uint64_t swapped_bytes;

	if (!malloc || !realloc || !free || order->page_bytes < 4096 || n == 0 || loan_is_filled())
		return false;

	borrow = (struct borrow){ .order = order, .reply = reply, .rest_usec = REST_USEC };
	swapped_bytes = proc_swapped();
	borrow.drop.reply = reply;
	borrow.drop.page_bytes = order->page_bytes;
	borrow.drop.look_in_swap = swapped_bytes >= SWAPPED_LOOK_BYTES && proc_open_pages();
	/* A program that frees faster than we take would lend for ever. */
	borrow.limit_bytes = order->limit_bytes > 0 ? order->limit_bytes :
						      2 * (reply->rss_before + swapped_bytes);
	borrow.lender.reply = reply;
	borrow.begin_usec = borrow.rested_usec = borrow.asked_usec = sys_now_usec();
	borrow.lender.now_usec = borrow.begin_usec;
	begin_small(&borrow, n);
	for (unsigned int i = 0; i < n && !borrow.over; i++) {
		struct anchor_block *anchors;

		if (is_known(arenas, i))
			continue;
		reply->n_arenas++;
		anchors = anchor_take(i);
		if (!anchors)
			continue;
		enter_arena(&borrow, anchors);
		empty_arena(&borrow);
		reply->n_reached += borrow.lender.mints;
		anchor_put(i, borrow.lender.anchors);
	}

	return true;
}
