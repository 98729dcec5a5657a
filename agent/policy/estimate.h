/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a release would give, what it would cost, and which disease this is. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "agent/model/group.h"
#include "agent/model/member.h"

/*
 * Expected release in bytes. Lower bound: heap RSS less what cannot be dropped; after a
 * mass free the unsorted bin hides the holes, so the estimate rises to heap RSS less in-use
 * less the residue that the last release left.
 */
uint64_t estimate_retained(const struct wire_stats *stats, uint64_t residue_bytes);

/* Longest stall of a full trim: its costliest arena, by the measured cost model. */
uint64_t estimate_stall_usec(const struct wire_stats *stats);

/* Heap RSS that is not in use: what remains right after a release is the residue. */
uint64_t estimate_unused(const struct wire_stats *stats);

enum verdict {
	VERDICT_UNKNOWN, /* nothing measured yet */
	VERDICT_HEALTHY, /* little is retained */
	VERDICT_RETAINED, /* freed, held by the allocator, a release returns it */
	VERDICT_FRAGMENTED, /* free, but below page granularity: a release cannot help */
	VERDICT_GROWING, /* the in-use floor rises: leak, or a cache without bound */
	VERDICT_NOT_MALLOC, /* most of the memory is outside the allocators we know */
};

/* From what is known of the group now: its heap figures, reading and past benefit. */
enum verdict estimate_verdict(const struct group *group);
const char *verdict_to_string(enum verdict verdict);
/* One sentence: what it means and what to do. */
const char *verdict_to_text(enum verdict verdict);
