/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/anchor.h"
#include "libhook/loan.h"

/* Larger than what a thread keeps for itself, which is not filled. */
#define FILL_BYTES ((size_t)2048)
#define FILLS 3
#define FILL_TRIES 16

/* Since then a call into the allocator was made, or two, and nothing else. */
static void note_stall(struct lender *lender, uint64_t since_usec)
{
	lender->now_usec = sys_now_usec();
	if (lender->now_usec - since_usec > lender->reply->stall_usec)
		lender->reply->stall_usec = lender->now_usec - since_usec;
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
	void *small = realloc(block, LOAN_SMALL_BYTES / 2);

	free(small ? small : block);
}

/*
 * Moving an anchor leaves its old block in our thread's cache, from where the next malloc()
 * takes it back: the anchor anew, in its old place. Where it does not (glibc 2.42 and later, or
 * the anchor grew where it was), the chunk becomes the anchor when it is given back.
 */
struct loan *loan_take(struct lender *lender, size_t bytes)
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
	note_stall(lender, begin_usec);

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
	loan->list = lender->list;
	loan->next = lender->held;
	lender->held = loan;
	lender->reply->n_borrowed++;
	return loan;
}

void loan_give_back(struct lender *lender)
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
	note_stall(lender, begin_usec);
}

size_t loan_unmapped(size_t largest)
{
	size_t bytes = largest;

	for (; bytes > LOAN_SMALL_BYTES; bytes /= 2) {
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

/* Ours does not look like what it is filled with, which is one byte many times over. */
static void mark(volatile unsigned char *block)
{
	for (size_t i = 0; i < FILL_BYTES; i++)
		block[i] = (unsigned char)i;
}

/* In the middle, where the allocator has nothing of its own. */
static bool is_one_byte(const volatile unsigned char *block)
{
	for (size_t i = FILL_BYTES / 4; i < FILL_BYTES * 3 / 4; i++)
		if (block[i] != block[FILL_BYTES / 4])
			return false;

	return true;
}

/*
 * Found out by doing it, since nothing tells: a block is freed, and taken again. Which is the one that
 * fits best, so that soon it is the same. Another thread may have had it meanwhile, and emptied
 * it: hence several times. A mapping of its own, as a small threshold makes of every block, is
 * always empty when it is new.
 */
bool loan_is_filled(void)
{
	unsigned char *block = malloc(FILL_BYTES);
	unsigned int n_filled = 0;

	for (unsigned int i = 0; block && n_filled < FILLS && i < FILL_TRIES; i++) {
		const uintptr_t before = (uintptr_t)block;

		mark(block);
		free(block);
		block = malloc(FILL_BYTES);
		if ((uintptr_t)block != before)
			continue;
		if (!is_one_byte(block) || (anchor_is_mapping(block) && block[FILL_BYTES / 2] == 0))
			break;
		n_filled++;
	}

	free(block);
	return n_filled == FILLS;
}
