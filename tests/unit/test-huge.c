/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Huge pages dropped in parts: the kernel is made to free those, and nothing else changes. */

#include "libhook/huge.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libhook/proc.h"
#include "tests/unit/test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define MIB (1UL << 20)
#define N_BLOCKS 8UL

static unsigned char *heap; /* N_BLOCKS of them, on their boundary, in the break's mapping */
static bool are_huge;
static unsigned int n_asked;

static bool is_here(uint64_t begin, uint64_t end)
{
	return begin <= (uintptr_t)heap && end >= (uintptr_t)heap + N_BLOCKS * HUGE_BYTES;
}

static void look_for_it(uint64_t begin, uint64_t end, void *found)
{
	*(bool *)found |= is_here(begin, end);
}

static bool go_on(void *arg)
{
	n_asked++;
	return arg == NULL;
}

static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 31 + at / 4096 + 1);
}

static void fill(void)
{
	for (size_t i = 0; i < N_BLOCKS * HUGE_BYTES; i++)
		heap[i] = pattern(i);
	are_huge = madvise(heap, N_BLOCKS * HUGE_BYTES, MADV_COLLAPSE) == 0;
}

/* Of each block 4 KiB stay, elsewhere in each; the last block stays whole. */
static bool is_kept(size_t at)
{
	const size_t block = at / HUGE_BYTES;

	return block == N_BLOCKS - 1 || at / 4096 % 512 == block * 37 % 512;
}

static void drop_parts(void)
{
	for (size_t at = 0; at < N_BLOCKS * HUGE_BYTES; at += 4096)
		if (!is_kept(at))
			CHECK_EQ(madvise(heap + at, 4096, MADV_DONTNEED), 0);
}

/* In huge pages of that mapping, in KiB. */
static unsigned long n_huge_kib(void)
{
	unsigned long begin, end, kib = 0, n;
	bool here = false;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			here = is_here(begin, end);
		if (here && sscanf(line, "AnonHugePages: %lu", &n) == 1)
			kib = n;
	}
	if (smaps)
		fclose(smaps);
	return kib;
}

static void test_heaps_are_found(void)
{
	bool found = false;

	proc_each_heap(look_for_it, &found);
	CHECK(found);
}

static void test_what_is_kept_stays_as_it_is(void)
{
	fill();
	drop_parts();
	huge_split(4096, 0, go_on, NULL);
	for (size_t i = 0; i < N_BLOCKS * HUGE_BYTES; i++)
		if (is_kept(i) && heap[i] != pattern(i)) {
			CHECK_EQ(heap[i], pattern(i));
			break;
		}
}

/* Who has all of a huge page keeps it. */
static void test_whole_ones_stay_whole(void)
{
	if (!are_huge) {
		printf("# huge pages cannot be had here: no claim\n");
		return;
	}

	CHECK(n_huge_kib() >= HUGE_BYTES / 1024);
}

static void test_it_ends_in_time_and_when_told(void)
{
	n_asked = 0;
	huge_split(4096, 0, go_on, &n_asked);
	CHECK_EQ(n_asked, 1);
	/* Long ago: after the first block, where it is asked again if that took long. */
	n_asked = 0;
	huge_split(4096, 1, go_on, NULL);
	CHECK(n_asked == 1 || n_asked == 2);
	/* With other pages it is not known how large huge ones are. */
	n_asked = 0;
	huge_split(65536, 0, go_on, NULL);
	CHECK_EQ(n_asked, 0);
}

int main(void)
{
	const uintptr_t end = (uintptr_t)sbrk((N_BLOCKS + 1) * HUGE_BYTES);

	heap = (unsigned char *)((end + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	RUN(test_heaps_are_found);
	RUN(test_what_is_kept_stays_as_it_is);
	RUN(test_whole_ones_stay_whole);
	RUN(test_it_ends_in_time_and_when_told);
	return TEST_RESULT();
}
