/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/model/stats.h"

#include <stddef.h>

#include "agent/basic/macro.h"

struct stats stats_of(const struct wire_stats *wire, const struct wire_foreign *foreign)
{
	return (struct stats){
		.rss = wire->rss,
		.heap_rss = wire->heap_rss,
		.heap_huge = wire->heap_huge,
		.heap_swap = wire->heap_swap,
		.system = wire->system,
		.in_use = wire->in_use,
		.free = wire->free,
		.mmapped = wire->mmapped,
		.whole_pages = wire->whole_pages,
		.main_top = wire->main_top,
		.other_tops = wire->other_tops,
		.unsorted = wire->unsorted,
		.largest_pages = wire->largest_pages,
		.hollow = wire->hollow,
		.foreign = foreign,
		.flags = wire->flags,
		.n_arenas = (uint16_t)MIN(wire->n_arenas, UINT16_MAX),
		.n_heaps = (uint16_t)MIN(wire->n_heaps, UINT16_MAX),
		.n_free = wire->n_free,
		.n_page_free = wire->n_page_free,
		.largest_n_page_free = wire->largest_n_page_free,
		.largest_n_free = wire->largest_n_free,
		.n_mmapped = wire->n_mmapped,
		.n_anchored = wire->n_anchored,
		.heap_usec = wire->heap_usec,
		.rss_usec = wire->rss_usec,
	};
}

const struct wire_foreign *stats_foreign(const struct stats *stats, unsigned int i)
{
	if (!stats->foreign || i >= WIRE_FOREIGN || stats->foreign[i].allocator == 0)
		return NULL;

	return &stats->foreign[i];
}
