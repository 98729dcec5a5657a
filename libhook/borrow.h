/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Gives back free memory of glibc's heap without ever holding a lock for long: takes free
 * chunks by ordinary allocation, from each arena through its anchor, drops the whole pages
 * inside them while they are ours, and frees them again. Uses realloc, malloc, free,
 * mincore and madvise on memory it owns, so it cannot damage a heap of any version.
 *
 * Chunks are taken from large to small; those of an arena are held until the arena is
 * done, or the allocator would hand out the same ones again. Also reaches the tops of
 * thread arenas, which malloc_trim() leaves alone.
 *
 * From glibc 2.42 on an anchor does not come back (its freed block passes by the thread's
 * cache), so each is good for one chunk: then tops and some of the largest holes go, and the arena
 * does not count as reached.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libhook/wire.h"

struct borrow_order {
	uint64_t limit_bytes;    /* enough; 0: all there is */
	uint64_t limit_usec;     /* no longer; 0: as long as it takes */
	uint32_t page_bytes;
	/* Asked every few milliseconds; false: give back what is held, and end. */
	bool (*go_on)(void *arg);
	/* After each rest; true: likewise, for something else is wanted sooner. */
	bool (*asked)(void *arg);
	/*
	 * When it is over, and while it is given back; false: a filter has come. What is held goes back as
	 * it is, without a rest, and without a call but the allocator's own.
	 */
	bool (*may_call)(void *arg);
	void *arg;
};

/*
 * On the agent's thread. Fills in end, n_arenas, n_reached, n_borrowed, stall_usec, dropped and
 * grown of @reply. False when it cannot be done here: nothing was touched.
 */
bool borrow_release(const struct borrow_order *order, struct wire_reclaim_reply *reply);
