/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <sys/mman.h>

#include "libhook/huge.h"
#include "libhook/mem.h"
#include "libhook/proc.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

#define PAGE_BYTES UINT64_C(4096)
#define N_PAGES (HUGE_BYTES / PAGE_BYTES)

#define ASK_USEC 20000

/* Of thread arenas each has at most 64 MiB; what is beyond stays as it is. */
#define HEAPS_MAX 256

struct range {
	uint64_t begin, end;
};

struct heaps {
	uint32_t n;
	struct range ranges[HEAPS_MAX];
};

struct split {
	uint64_t until_usec, asked_usec;
	bool (*go_on)(void *);
	void *arg;
	bool over;
};

static void look_around(struct split *split)
{
	const uint64_t now_usec = sys_now_usec();

	if (split->until_usec > 0 && now_usec >= split->until_usec)
		split->over = true;
	if (now_usec - split->asked_usec < ASK_USEC)
		return;

	split->asked_usec = now_usec;
	if (!split->go_on(split->arg))
		split->over = true;
}

/*
 * That a page is cold is advice, which changes nothing in it; to follow it the kernel has to
 * take the page out of the huge one that it is a part of, and with that frees what nobody maps.
 */
static void cool(struct split *split, uint64_t at)
{
	/* Locked memory, or a kernel before 5.4. */
	if (SYS(SYS_madvise, (unsigned long)at, PAGE_BYTES, MADV_COLD) == -EINVAL)
		split->over = true;
}

/*
 * Is it resident in parts only, then it is mapped by small pages by now, be it a huge one or
 * not. What came later may be a page of its own: one at either end, so that one is of it.
 */
static void split_block(struct split *split, uint64_t at)
{
	uint64_t first = N_PAGES, last = 0, n = 0;
	unsigned char pages[N_PAGES];

	if (sys_mincore(at, HUGE_BYTES, pages) < 0)
		return;

	for (uint64_t i = 0; i < N_PAGES; i++)
		if (pages[i] & 1U) {
			first = n == 0 ? i : first;
			last = i;
			n++;
		}
	if (n == 0 || n == N_PAGES)
		return;

	cool(split, at + first * PAGE_BYTES);
	if (last != first)
		cool(split, at + last * PAGE_BYTES);
	look_around(split);
}

static void split_heap(struct split *split, const struct range *heap)
{
	uint64_t at = (heap->begin + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);

	for (; at < heap->end && heap->end - at >= HUGE_BYTES && !split->over; at += HUGE_BYTES)
		split_block(split, at);
}

static void note_heap(uint64_t begin, uint64_t end, void *arg)
{
	struct heaps *all = arg;

	if (all->n < HEAPS_MAX)
		all->ranges[all->n++] = (struct range){ begin, end };
}

void huge_split(uint64_t page_bytes, uint64_t until_usec, bool (*go_on)(void *), void *arg)
{
	static struct heaps heaps;
	struct split split = {
		.until_usec = until_usec,
		.asked_usec = sys_now_usec(),
		.go_on = go_on,
		.arg = arg,
	};

	/* The release may have been long. */
	if (page_bytes != PAGE_BYTES || !go_on(arg))
		return;

	/* First the list: should a filter come, no descriptor of it is to be closed. */
	heaps.n = 0;
	proc_each_heap(note_heap, &heaps);
	for (uint32_t i = 0; i < heaps.n && !split.over; i++)
		split_heap(&split, &heaps.ranges[i]);
}
