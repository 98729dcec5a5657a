/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The counters of /proc/vmstat that bound the growth of every group. */

#include "agent/sense/vmstat.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

#define UNTOUCHED 4711

static int parse(const char *text, uint64_t *ret)
{
	*ret = UNTOUCHED;
	return vmstat_parse_allocated(text, 4096, ret);
}

static void test_zones_are_summed_up(void)
{
	uint64_t bytes;

	CHECK_EQ(parse("nr_free_pages 7\npgalloc_dma 1\npgalloc_dma32 20\npgalloc_normal 300\n"
		       "pgalloc_movable 4000\nallocstall_normal 9\npgfree 12345\n", &bytes), 0);
	CHECK_EQ(bytes, 4321 * 4096);
}

static void test_what_is_cut_behind_them_does_not_matter(void)
{
	uint64_t bytes;

	CHECK_EQ(parse("pgalloc_normal 3\npgfree 12", &bytes), 0);
	CHECK_EQ(bytes, 3 * 4096);
}

static void test_bad_text_is_no_count(void)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{ "", -ENODATA },
		{ "\n", -ENODATA },
		{ "nr_free_pages 7\n", -ENODATA },
		{ "xpgalloc_normal 7\n", -ENODATA },
		/* Cut in the middle: another number. */
		{ "pgalloc_dma 1\npgalloc_normal 30", -EINVAL },
		{ "pgalloc_normal", -EINVAL },
		{ "pgalloc_normal\n", -EINVAL },
		{ "pgalloc_normal \n", -EINVAL },
		{ "pgalloc_normal -1\n", -EINVAL },
		{ "pgalloc_normal 0x10\n", -EINVAL },
		{ "pgalloc_normal 18446744073709551616\n", -EINVAL },
		{ "pgalloc_dma 18446744073709551615\npgalloc_normal 1\n", -EINVAL },
		{ "pgalloc_normal 18446744073709551615\n", -ERANGE },
	};
	uint64_t bytes;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_EQ(parse(rows[i].text, &bytes), rows[i].error);
		CHECK_EQ(bytes, UNTOUCHED);
	}
}

/* What the decision not to look rests on. */
static void test_it_grows_with_what_is_allocated(void)
{
	const size_t size = 8 * MIB;
	uint64_t before, after;
	int fd = vmstat_open();
	volatile char *memory;

	/* A kernel without event counters. */
	if (fd < 0)
		return;

	CHECK_EQ(vmstat_read_allocated(fd, &before), 0);
	memory = malloc(size);
	CHECK(memory);
	for (size_t i = 0; memory && i < size; i += 4096)
		memory[i] = 1;
	CHECK_EQ(vmstat_read_allocated(fd, &after), 0);
	CHECK(after - before >= size);
	free((void *)memory);
	close(fd);
}

int main(void)
{
	RUN(test_zones_are_summed_up);
	RUN(test_what_is_cut_behind_them_does_not_matter);
	RUN(test_bad_text_is_no_count);
	RUN(test_it_grows_with_what_is_allocated);

	return TEST_RESULT();
}
