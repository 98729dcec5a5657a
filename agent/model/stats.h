/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is kept of a process's answer to STATS: there are thousands, and most have no allocator
 * but glibc's. All of it is a claim; names and units are those of libhook/wire.h.
 */

#include <stdint.h>

#include "libhook/wire.h"

struct stats {
	uint64_t rss;
	uint64_t heap_rss;
	uint64_t heap_huge;
	uint64_t heap_swap;
	uint64_t system;
	uint64_t in_use;
	uint64_t free;
	uint64_t mmapped;
	uint64_t whole_pages;
	uint64_t main_top;
	uint64_t other_tops;
	uint64_t unsorted;
	uint64_t largest_pages;
	uint64_t hollow;
	/* WIRE_FOREIGN of them, elsewhere; NULL: no other allocator told of itself. */
	const struct wire_foreign *foreign;
	uint32_t flags;
	uint16_t n_arenas; /* or more */
	uint16_t n_heaps;  /* likewise */
	uint32_t n_free;
	uint32_t n_page_free;
	uint32_t largest_n_page_free;
	uint32_t largest_n_free;
	uint32_t n_mmapped;
	uint32_t n_anchored;
	uint32_t heap_usec;
	uint32_t rss_usec;
};

/* @foreign: where those of @wire are kept; NULL: they are not. */
struct stats stats_of(const struct wire_stats *wire, const struct wire_foreign *foreign);

/* The @i-th other allocator that told of itself, from 0; NULL: no more. */
const struct wire_foreign *stats_foreign(const struct stats *stats, unsigned int i);
