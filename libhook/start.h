/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a new thread of the program does for us before it does what it was made for. */

typedef void *(*start_routine_t)(void *);

/*
 * Has a thread to be made with (@routine, @arg) leave an anchor first: replaces both, and
 * returns what start_cancel() takes if the thread was not made. NULL: no room, and
 * both are as they were. Takes no memory and no lock.
 */
struct start {
	start_routine_t routine;
	void *arg;
	int taken; /* by a thread of this process (life.h); 0: free; atomic */
};
struct start *start_wrap(start_routine_t *routine, void **arg);
void start_cancel(struct start *start);

/*
 * False where memory is locked: it cannot be dropped, and an arena that a thread would
 * not have made would be locked too, address space included. Nor where that is limited.
 */
bool start_is_useful(uint32_t page_bytes);

/* False where addresses are limited: the part of it that takes no memory. */
bool start_has_addresses(void);

/* Before the first anchor. @uncached: threads keep no blocks that they have freed. */
void start_prepare(bool uncached);

/* Leaves an anchor in the arena of this thread. No signal handler runs meanwhile. */
void start_anchor(void);
