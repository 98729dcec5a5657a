/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is borrowed from one arena of glibc's heap, by realloc() of its anchor (anchor.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libhook/wire.h"

/* Smaller than any mapping of its own. */
#define LOAN_SMALL_BYTES ((size_t)16 << 10)

/* At the beginning of every borrowed chunk. */
struct loan {
	struct loan *next;
	size_t bytes;    /* asked for */
	bool was_anchor; /* becomes one again */
	bool moved;      /* from where the anchor was */
	uint16_t list;   /* as the lender said */
};

struct anchor_block;
struct lender {
	struct anchor_block *anchors;
	struct loan *held; /* the last one first */
	uint16_t list;     /* what is taken now belongs to it */
	bool mints;        /* an anchor that moved comes back: each is good for any number */
	uint64_t now_usec; /* when the last call into the allocator had returned */
	struct wire_reclaim_reply *reply; /* of it stall_usec and n_borrowed */
};

/* A chunk of @bytes from the arena, which is held. NULL: it gives none that is not a mapping. */
struct loan *loan_take(struct lender *lender, size_t bytes);

/* Gives back what was taken last. */
void loan_give_back(struct lender *lender);

/*
 * The largest size up to @largest, by halves, that does not get a mapping of its own for want
 * of a hole. Tried in our own arena, where there are none.
 */
size_t loan_unmapped(size_t largest);

/*
 * Does free() write over what it is given? A program can have it so at any time, by
 * mallopt(M_PERTURB): then whatever is dropped would be written to, and come back.
 */
bool loan_is_filled(void);
