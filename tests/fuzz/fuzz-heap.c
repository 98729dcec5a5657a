/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hook's two parsers of text: malloc_info() reports and smaps. Row 8 of the list of hazards. */

#include <stddef.h>
#include <stdint.h>

#include "libhook/heap.h"
#include "libhook/proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_arena rows[HEAP_ROWS_MAX];
	struct wire_stats stats = { 0 };
	struct heap_scan heap = { .page_bytes = 4096, .stats = &stats, .rows = rows };
	struct proc_smaps smaps = { .length = 0 };
	const uint32_t half = (uint32_t)(size / 2);

	/* In two pieces: what a line is must not depend on where the buffer ended. */
	heap_scan_feed(&heap, (const char *)data, half);
	heap_scan_feed(&heap, (const char *)data + half, (uint32_t)size - half);
	proc_smaps_feed(&smaps, (const char *)data, half);
	proc_smaps_feed(&smaps, (const char *)data + half, (uint32_t)size - half);
	return 0;
}
