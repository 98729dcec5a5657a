/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether free() writes over what it is given, as it is found out by doing it; and what is no loan. */

#include "libhook/anchor.h"
#include "libhook/loan.h"

#include <malloc.h>
#include <stdlib.h>

#include "tests/unit/test.h"

/* Another allocator than glibc's fills nothing, or otherwise. */
#ifndef OTHER_ALLOCATOR

#define BLOCK_BYTES 2048
#define BLOCKS_MAX 256

/* Until the heap has no room for another, and it gets a mapping of its own. Nobody frees these. */
static bool fill_up(void)
{
	for (int i = 0; i < BLOCKS_MAX; i++) {
		const void *block = malloc(BLOCK_BYTES);

		if (block && anchor_is_mapping(block))
			return true;
	}

	return false;
}

/* Were it freed as it is, glibc would take its size for the new threshold, for good. Nobody frees the last. */
static void test_a_mapping_is_no_loan_and_moves_no_threshold(void)
{
	struct wire_reclaim_reply reply = { .n_borrowed = 0 };
	struct lender lender = { .anchors = malloc(ANCHOR_BYTES), .reply = &reply };
	const void *block;

	CHECK(lender.anchors);
	lender.anchors->next = NULL;
	CHECK(!loan_take(&lender, (size_t)4 << 20));
	CHECK(!lender.held);
	CHECK_EQ(reply.n_borrowed, 0);
	block = malloc((size_t)1 << 20);
	CHECK(block && anchor_is_mapping(block));
}

static void test_a_heap_as_it_is_does_not(void)
{
	CHECK(!loan_is_filled());
}

static void test_one_that_is_to_be_filled_does(void)
{
	CHECK(mallopt(M_PERTURB, 0x55) == 1);
	CHECK(loan_is_filled());
	CHECK(mallopt(M_PERTURB, 0) == 1);
	CHECK(!loan_is_filled());
}

/* An unusual threshold: each block comes from the kernel, as empty as the one before. */
static void test_a_mapping_is_empty_which_is_not_filled(void)
{
	CHECK(mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES / 2) == 1);
	CHECK(fill_up());
	CHECK(!loan_is_filled());
	CHECK(mallopt(M_PERTURB, 0x55) == 1);
	CHECK(loan_is_filled());
}

#endif

int main(void)
{
#ifndef OTHER_ALLOCATOR
	RUN(test_a_mapping_is_no_loan_and_moves_no_threshold);
	RUN(test_a_heap_as_it_is_does_not);
	RUN(test_one_that_is_to_be_filled_does);
	RUN(test_a_mapping_is_empty_which_is_not_filled);
#endif

	return TEST_RESULT();
}
