/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Turns allocator figures into expectations. Figures are claims: any value must be
 * survived.
 */

#include "agent/policy/estimate.h"

#include "agent/basic/macro.h"

/*
 * Cost of malloc_trim(0) in one arena, measured with holes of 4 KiB to 8 MiB, 1 to 4 GiB,
 * busy threads on the same two virtual CPUs. Rounded to the costly side.
 */
#define STALL_NSEC_PER_FREE UINT64_C(25)        /* every free chunk is walked */
#define STALL_NSEC_PER_PAGE_FREE UINT64_C(1000) /* one madvise() each, resident or not */
#define STALL_USEC_PER_MIB UINT64_C(400)        /* pages freed, other CPUs' TLBs flushed */

/* More than this part of the free bytes unsorted, and the histogram is blind. */
#define UNSORTED_PART 8

/* Less than this is not worth a diagnosis, in a group of whatever size. */
#define VERDICT_BYTES (64 * MIB)

/* In use by this much of the memory, and a release cannot make the difference. */
#define GROWING_PERMYRIAD 7000

static bool is_blind(const struct wire_stats *stats)
{
	return stats->unsorted > stats->free / UNSORTED_PART;
}

/*
 * Trim can drop the whole pages inside free chunks and the main arena's top, nothing
 * else. So at most the rest of the address space can stay resident, and what is resident
 * beyond it must go: a lower bound. Tops of thread arenas are in that rest, trim leaves
 * them.
 */
static uint64_t lower_bound(const struct wire_stats *stats)
{
	const uint64_t going = add_sat(stats->whole_pages, stats->main_top);
	const uint64_t staying = sub_sat(stats->system, going);

	/* Mappings may hold more than arenas, such as a program's own sbrk(). */
	return MIN(sub_sat(stats->heap_rss, staying), going);
}

/*
 * Right after a mass free most holes lie in one unsorted list. whole_pages sees only
 * their number and sum there, and by convexity too few whole pages: the lower bound then
 * says almost nothing. Two other bounds are left, and the smaller is taken:
 *
 * (1) Resident and not in use, less what is known to stay. The residue is just that
 *     figure right after the last release, when everything that could go had gone: holes
 *     below a page and the resident part of thread arenas' tops. Before the first release
 *     it is 0 and the tops are all that is known. They may have grown since the last one,
 *     so at least they stay; adding both would count tops twice.
 *
 * (2) The lower bound, as if all that is unsorted could go. This keeps (1) honest in a
 *     heap whose other free bytes are holes below a page and was never released.
 */
static uint64_t blind_estimate(const struct wire_stats *stats, uint64_t residue_bytes)
{
	const uint64_t stays = MAX(residue_bytes, stats->other_tops);
	struct wire_stats sorted = *stats;

	sorted.whole_pages = add_sat(stats->whole_pages, stats->unsorted);
	return MIN(sub_sat(estimate_unused(stats), stays), lower_bound(&sorted));
}

uint64_t estimate_retained(const struct wire_stats *stats, uint64_t residue_bytes)
{
	uint64_t retained;

	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	retained = lower_bound(stats);
	if (is_blind(stats))
		retained = MAX(retained, blind_estimate(stats, residue_bytes));

	return MIN(retained, stats->heap_rss);
}

uint64_t estimate_stall_usec(const struct wire_stats *stats)
{
	uint64_t walk_nsec, released, largest = stats->largest_pages;

	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	/*
	 * Unsorted chunks may all be in one arena, and so may small ones: only sums are
	 * known.
	 */
	if (is_blind(stats))
		largest = add_sat(largest, stats->unsorted);

	walk_nsec = stats->n_free * STALL_NSEC_PER_FREE +
		    stats->largest_n_page_free * STALL_NSEC_PER_PAGE_FREE;
	released = MIN(largest, estimate_retained(stats, 0));

	return walk_nsec / 1000 + released / KIB * STALL_USEC_PER_MIB / (MIB / KIB);
}

uint64_t estimate_unused(const struct wire_stats *stats)
{
	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	return sub_sat(stats->heap_rss, stats->in_use);
}

/* The last release was tried on as much as is there now, and gave next to nothing. */
static bool is_disproved(const struct benefit *benefit, uint64_t bytes)
{
	return benefit->n_rounds > 0 && benefit->backoff_usec > 0 &&
	       benefit->last_released_bytes < bytes / 10;
}

static bool is_retained(const struct group *group)
{
	const uint64_t high = group->settings.retained_high_bytes;
	const uint64_t least =
		MAX(high > 0 ? high : VERDICT_BYTES, group->reading.anon_bytes / 4);

	return group->heap.retained_bytes >= least &&
	       !is_disproved(&group->benefit, group->heap.retained_bytes);
}

static bool is_growing(const struct group *group)
{
	const struct reading *r = &group->reading;
	const uint32_t high = group->settings.usage_high_permyriad;

	if (high == 0 || r->limit_bytes == BYTES_INFINITY)
		return false;

	return r->anon_bytes > 0 && r->anon_bytes >= share_of(r->limit_bytes, high) &&
	       group->heap.in_use_bytes >= share_of(r->anon_bytes, GROWING_PERMYRIAD);
}

static bool is_not_malloc(const struct group *group)
{
	const struct heap *h = &group->heap;
	const uint64_t known =
		add_sat(h->in_use_bytes, MAX(h->retained_bytes, h->unused_bytes));

	return group->reading.anon_bytes >= VERDICT_BYTES &&
	       known < group->reading.anon_bytes / 2;
}

/*
 * Much is free, and neither does the histogram find whole pages in it nor did a release.
 */
static bool is_fragmented(const struct group *group)
{
	const uint64_t unused = group->heap.unused_bytes;

	if (unused < MAX(VERDICT_BYTES, group->reading.anon_bytes / 4))
		return false;

	return group->heap.retained_bytes < unused / 10 ||
	       is_disproved(&group->benefit, unused);
}

/* The last release gave back a good part of what was there. */
static bool has_paid(const struct benefit *benefit)
{
	const uint64_t before =
		add_sat(benefit->last_usage_bytes, benefit->last_released_bytes);

	return benefit->n_rounds > 0 &&
	       benefit->last_released_bytes >= MAX(before / 4, 1);
}

enum verdict estimate_verdict(const struct group *group)
{
	if (group->heap.time_usec == 0 || group->reading.time_usec == 0)
		return VERDICT_UNKNOWN;

	if (is_retained(group))
		return VERDICT_RETAINED;

	if (is_growing(group))
		return VERDICT_GROWING;

	if (is_not_malloc(group))
		return VERDICT_NOT_MALLOC;

	/* What the last release could not give back is no news while it gave much. */
	if (has_paid(&group->benefit))
		return VERDICT_RETAINED;

	return is_fragmented(group) ? VERDICT_FRAGMENTED : VERDICT_HEALTHY;
}

const char *verdict_to_string(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_UNKNOWN:
		return "unknown";
	case VERDICT_HEALTHY:
		return "healthy";
	case VERDICT_RETAINED:
		return "retained";
	case VERDICT_FRAGMENTED:
		return "fragmented";
	case VERDICT_GROWING:
		return "growing";
	case VERDICT_NOT_MALLOC:
		return "not-malloc";
	}

	return "unknown";
}

const char *verdict_to_text(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_UNKNOWN:
		return "Nothing has been measured yet; see that the program runs with the hook.";
	case VERDICT_HEALTHY:
		return "Little memory is held that is not in use; there is nothing to do.";
	case VERDICT_RETAINED:
		return "Memory was freed but is held by the allocator; a release gives it back.";
	case VERDICT_FRAGMENTED:
		return "Memory is free in pieces too small to give back; lower ArenaMax=, change "
		       "the allocator, or restart the program.";
	case VERDICT_GROWING:
		return "Most of the memory is in use and near the limit; look for a leak or a cache "
		       "without bound, or raise the limit.";
	case VERDICT_NOT_MALLOC:
		return "Most of the memory is outside the allocators memguard knows; look at thread "
		       "stacks, direct mmap(), other runtimes, processes without the hook.";
	}

	return "The verdict is unknown to this version.";
}
