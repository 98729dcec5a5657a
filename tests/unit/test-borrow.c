/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The ladder of sizes, which is all of borrowing that needs no heap. */

#include "libhook/borrow.c"

#include "tests/unit/test.h"

static void test_each_size_is_smaller_and_aligned(void)
{
	for (size_t bytes = LARGEST_BYTES; bytes > 4096; bytes = next_size(bytes)) {
		CHECK(next_size(bytes) < bytes);
		CHECK_EQ(next_size(bytes) % 16, 0);
	}
}

/* What a hole can lose at its end: a step. */
static void test_no_step_is_larger_than_it_may_be(void)
{
	for (size_t bytes = LARGEST_BYTES; bytes > 4096; bytes = next_size(bytes)) {
		const size_t step = bytes - next_size(bytes);

		CHECK(step <= bytes / 32 + 16);
		if (bytes <= FINE_BYTES)
			CHECK(step <= bytes / 64 + 16);
	}
}

static void test_it_has_not_too_many_steps(void)
{
	int n = 0;

	for (size_t bytes = LARGEST_BYTES; bytes > 4096; bytes = next_size(bytes))
		n++;
	CHECK(n > 50 && n < 300);
}

int main(void)
{
	RUN(test_each_size_is_smaller_and_aligned);
	RUN(test_no_step_is_larger_than_it_may_be);
	RUN(test_it_has_not_too_many_steps);

	return TEST_RESULT();
}
