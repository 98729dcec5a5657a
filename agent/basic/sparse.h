/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Records of one size side by side, in pages that the kernel gives when something is written
 * there: where there are thousands, what malloc() puts around each would count. And those that
 * are nearly always zero take no memory then, for as long as nobody reads them either: not every
 * kernel has one page of zeroes for all. Nobody allocates when such a one is written at last. A
 * page that was written stays, and is used again first.
 */

#include <stdbool.h>
#include <stddef.h>

struct sparse_block;

struct sparse {
	size_t record_bytes; /* to be set at first; a multiple of 8 */
	struct sparse_block *blocks;
};

/* A record of zeroes; NULL: there is no memory. */
void *sparse_take(struct sparse *sparse);
/* Gives it back; @is_written: it may be other than zero. Returns NULL. */
void *sparse_give(struct sparse *sparse, void *record, bool is_written);

/* Has it its memory now, which else it gets when it is first written: a crisis may have none. */
void sparse_touch(const struct sparse *sparse, void *record);

/* All must have been given back. */
void sparse_close(struct sparse *sparse);
