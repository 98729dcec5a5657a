/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Of a chunk that is ours: what is resident of it, and giving that to the kernel. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libhook/wire.h"

/* As much can be looked at in one piece. */
#define DROP_LARGEST_BYTES ((size_t)2 << 20)

struct drop {
	struct wire_reclaim_reply *reply; /* counts what was dropped */
	uint64_t page_bytes;    /* at least 4096 */
	uint64_t swapped_bytes; /* given back; what is dropped is not among them */
	bool look_in_swap;      /* proc_open_pages() was called for it */
	size_t share;           /* of the last chunk looked at, what was resident */
	unsigned char resident[2 * DROP_LARGEST_BYTES / 4096 + 1];
};

enum found {
	FOUND_PAGES,    /* and dropped them */
	FOUND_ONE,      /* just one, likewise: where a split has written its header */
	FOUND_NOTHING,  /* no page of it is resident */
	FOUND_PAGELESS, /* it holds no whole page */
	FOUND_LOCKED,   /* the kernel refuses */
};

/*
 * Drops the whole pages from @begin to below @limit, at most twice DROP_LARGEST_BYTES. @look:
 * see first whether there is anything to drop; else take it to be as the last one.
 */
enum found drop_chunk(struct drop *drop, uintptr_t begin, uintptr_t limit, bool look);
