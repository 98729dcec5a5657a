/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/drop.h"
#include "libhook/proc.h"

#define SHARE_ONE 1024

static size_t count_resident(struct drop *drop, uintptr_t begin, size_t bytes)
{
	size_t n = 0;

	if (SYS(SYS_mincore, begin, bytes, drop->resident) < 0)
		return 0;

	for (size_t i = 0; i < bytes / drop->page_bytes; i++)
		n += drop->resident[i] & 1U;

	return n;
}

/*
 * Free memory that was swapped out takes up swap, and one day it would be read for nothing.
 * Only of a chunk without resident pages; of others it goes along.
 */
static bool is_swapped(struct drop *drop, uintptr_t begin, size_t bytes)
{
	const uint64_t page_bytes = drop->page_bytes;
	uint64_t swapped_bytes;

	if (!drop->look_in_swap)
		return false;

	swapped_bytes = page_bytes * proc_swapped_pages(begin / page_bytes, bytes / page_bytes);
	drop->swapped_bytes += swapped_bytes;
	return swapped_bytes > 0;
}

/*
 * By libc, as malloc_trim() does it: programs with RDMA (Open MPI, UCX) patch that function to learn
 * which of the pages that a device knows are gone.
 */
static bool drop_range(uintptr_t begin, size_t bytes)
{
	if (madvise)
		return madvise((void *)begin, bytes, MADV_DONTNEED) == 0;

	return SYS(SYS_madvise, begin, bytes, MADV_DONTNEED) == 0;
}

enum found drop_chunk(struct drop *drop, uintptr_t begin, uintptr_t limit, bool look)
{
	const uintptr_t page_bytes = drop->page_bytes;
	size_t n_pages, n_resident;
	bool swapped = false;

	begin = (begin + page_bytes - 1) & ~(page_bytes - 1);
	limit &= ~(page_bytes - 1);
	if (begin >= limit)
		return FOUND_PAGELESS;

	n_pages = (limit - begin) / page_bytes;
	if (look || drop->look_in_swap) {
		n_resident = count_resident(drop, begin, limit - begin);
		drop->share = n_resident * SHARE_ONE / n_pages;
	} else {
		n_resident = (n_pages * drop->share + SHARE_ONE - 1) / SHARE_ONE;
	}
	if (n_resident == 0)
		swapped = is_swapped(drop, begin, limit - begin);
	if (n_resident == 0 && !swapped)
		return FOUND_NOTHING;
	if (!drop_range(begin, limit - begin))
		return FOUND_LOCKED;

	drop->reply->dropped += n_resident * page_bytes;
	return n_resident > 1 || swapped ? FOUND_PAGES : FOUND_ONE;
}
