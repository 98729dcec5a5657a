/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The glibc heap as malloc_info() tells it. The report is parsed while it is written,
 * through one stream made beforehand, so that reading it allocates nothing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libhook/wire.h"

/* Arenas beyond these are in the totals, but have no row of their own. */
#define HEAP_ROWS_MAX 256

/*
 * Makes the stream. Called on a thread of the program that is about to allocate anyway,
 * so that the agent itself never needs an arena. False: no statistics, RECLAIM still works.
 */
bool heap_prepare(void);

/* Walks all arenas (holding each one's lock in turn). False when it cannot be done. */
bool heap_read(uint32_t page_bytes, struct wire_stats *stats);

/* The rows of the last heap_read(). */
const struct wire_arena *heap_rows(void);
uint32_t heap_n_rows(void);
/* Arenas there were then. */
uint32_t heap_n_arenas(void);

/* The parser by itself; pure. */
struct heap_scan {
	uint64_t page_bytes;
	struct wire_stats *stats;
	struct wire_arena *rows;
	uint32_t n_rows;
	uint32_t length;
	char line[256];
	bool in_arena;
	struct wire_arena arena;  /* the one being read */
	uint64_t arena_bins;      /* its sorted and unsorted bins */
	uint64_t arena_fast, arena_n_fast;
	uint64_t arena_rest;      /* bins and top */
	uint32_t arena_page_free;
	uint32_t arena_free;
};
void heap_scan_feed(struct heap_scan *scan, const char *text, uint32_t size);
