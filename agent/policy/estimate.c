/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Turns allocator figures into expectations. Figures are claims: any value must be
 * survived.
 */

#include "agent/policy/estimate.h"

#include "agent/basic/macro.h"
#include "agent/policy/calibrate.h"

/*
 * Cost of malloc_trim(0), measured with holes of 4 KiB to 8 MiB, 1 to 4 GiB, on two virtual
 * CPUs. Where the program is at work every release interrupts its CPUs, and waits for its
 * locks. Rounded to the costly side; policy/calibrate corrects it for each process.
 */
#define NSEC_PER_FREE UINT64_C(25)       /* every free chunk is walked */
#define NSEC_PER_PAGE_FREE UINT64_C(700) /* one madvise() each, resident or not */
#define BUSY_NSEC_PER_PAGE_FREE UINT64_C(1000)
#define USEC_PER_MIB UINT64_C(150)       /* pages freed */
#define BUSY_USEC_PER_MIB UINT64_C(400)  /* and other CPUs' TLBs flushed */

/* Of huge pages one is freed where there would be 512. */
#define HUGE_PERMYRIAD 4000

/*
 * Borrowing before its first time in a process: its longest single hold of a lock, and how
 * much longer than a full trim it takes.
 */
#define BORROW_STALL_USEC UINT64_C(1500)
#define BORROW_TIMES 2

/* Of one CPU: below it a program waits for work, and a stall delays nobody. */
#define BUSY_PERMYRIAD 500

/* Half a percent of a CPU: somebody asks it for something now and then. */
#define WORKING_PERMYRIAD 50

/* What remains right after a release is wrongly predicted: up to this part is believed. */
#define BIAS_PART 16

/* Trim drops the whole pages inside free chunks and the main arena's top, nothing else. */
static uint64_t going_bytes(const struct stats *stats)
{
	return add_sat(stats->whole_pages, stats->main_top);
}

/* Of tops that were never touched, or given back, nothing is resident. */
static uint64_t hollow_bytes(const struct stats *stats)
{
	return MIN(stats->hollow, stats->other_tops);
}

/* The rest of the address space; tops of thread arenas are in it, trim leaves them. */
static uint64_t staying_bytes(const struct stats *stats)
{
	const uint64_t staying = sub_sat(stats->system, going_bytes(stats));

	return sub_sat(staying, hollow_bytes(stats));
}

int64_t estimate_bias(const struct stats *stats)
{
	const uint64_t staying = staying_bytes(stats);

	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	/*
	 * Little of what was left: the program may have freed something since. But for what is
	 * taken for hollow tops: behind a hole that was given back it can be the hole, and a top
	 * elsewhere be resident.
	 */
	if (stats->heap_rss > staying)
		return (int64_t)(MIN(stats->heap_rss - staying,
				     add_sat(stats->heap_rss / BIAS_PART, hollow_bytes(stats))) &
				 INT64_MAX);

	return -(int64_t)MIN(staying - stats->heap_rss, staying / 2 & INT64_MAX);
}

int64_t estimate_next_bias(const struct stats *stats, int64_t last_bytes, bool have_ended)
{
	const int64_t bytes = estimate_bias(stats);

	/* What their caches held is free since: no error, but what can be given back now. */
	return have_ended ? MIN(bytes, last_bytes) : bytes;
}

uint64_t estimate_retained(const struct stats *stats, int64_t bias_bytes)
{
	uint64_t staying, retained;

	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	staying = staying_bytes(stats);
	if (bias_bytes >= 0)
		staying = add_sat(staying, (uint64_t)bias_bytes);
	else
		staying = sub_sat(staying, (uint64_t)-(bias_bytes + 1) + 1);

	/* Mappings may hold more than arenas, such as a program's own sbrk(). */
	retained = MIN(sub_sat(stats->heap_rss, staying), going_bytes(stats));
	return MIN(retained, stats->heap_rss);
}

uint64_t estimate_walk_usec(uint32_t n_free, uint32_t n_page_free, bool busy)
{
	return (n_free * NSEC_PER_FREE +
		n_page_free * (busy ? BUSY_NSEC_PER_PAGE_FREE : NSEC_PER_PAGE_FREE)) /
	       1000;
}

uint64_t estimate_drop_usec(const struct stats *stats, uint64_t bytes, bool busy)
{
	const uint64_t kib_usec = busy ? BUSY_USEC_PER_MIB : USEC_PER_MIB;
	const uint64_t huge = MIN(stats->heap_huge, stats->heap_rss);
	const uint64_t cheap = stats->heap_rss > 0 ? huge / (stats->heap_rss / 100 + 1) : 0;
	const uint64_t usec = mul_sat(bytes / KIB, kib_usec) / (MIB / KIB);

	/* @cheap is a percentage. */
	return usec - usec / PERMYRIAD * (MIN(cheap, 100) * (PERMYRIAD - HUGE_PERMYRIAD) / 100);
}

uint64_t estimate_stall_usec(const struct stats *stats, bool busy)
{
	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	/* Each the largest of any arena: no arena can cost more. */
	return add_sat(estimate_walk_usec(stats->largest_n_free, stats->largest_n_page_free,
					  busy),
		       estimate_drop_usec(stats,
					  MIN(add_sat(stats->largest_pages,
						      stats->main_top),
					      estimate_retained(stats, 0)),
					  busy));
}

uint64_t estimate_release_usec(const struct stats *stats, uint64_t bytes, bool busy)
{
	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	return add_sat(estimate_walk_usec(stats->n_free, stats->n_page_free, busy),
		       estimate_drop_usec(stats, bytes, busy));
}

/* Whose free memory the figures and the methods are about. */
static bool is_glibc(const struct hello *hello)
{
	return (hello->allocators & WIRE_ALLOCATOR_GLIBC) != 0 &&
	       (hello->malloc_owner == 0 || hello->malloc_owner == WIRE_ALLOCATOR_GLIBC);
}

bool estimate_has_methods(const struct member *member)
{
	return is_glibc(&member->hello);
}

bool estimate_can_borrow(const struct member *member)
{
	return is_glibc(&member->hello) && member->stats.n_anchored > 0 &&
	       !member->borrow_refused;
}

bool estimate_is_busy(const struct member *member)
{
	return member->busy_permyriad >= BUSY_PERMYRIAD;
}

bool estimate_is_working(const struct member *member)
{
	return member->busy_permyriad >= WORKING_PERMYRIAD;
}

uint64_t estimate_untold(const struct member *member)
{
	if (member->hello.malloc_owner != WIRE_ALLOCATOR_MIMALLOC || member->time_usec == 0 ||
	    estimate_is_working(member))
		return 0;

	return sub_sat(member->process.anon_bytes, member->rested_bytes);
}

uint64_t estimate_give(const struct member *member, enum method method)
{
	if (method == METHOD_FULL || !estimate_can_borrow(member))
		return member->retained_bytes;
	if (method == METHOD_BORROW)
		return member->borrow.bytes;

	return MAX(member->retained_bytes, member->borrow.bytes);
}

uint64_t estimate_borrow_bytes(const struct stats *stats, uint64_t retained_bytes)
{
	/* It also gives back tops that a full trim leaves, where they are resident. */
	const uint64_t tops =
		MIN(sub_sat(stats->other_tops, stats->hollow), stats->heap_rss);
	const uint64_t all = add_sat(retained_bytes, tops);
	const uint32_t reached = MIN(stats->n_anchored, stats->n_arenas);

	if (stats->n_arenas == 0)
		return 0;

	return MIN(mul_sat(all / stats->n_arenas, reached), stats->heap_rss);
}

/* Chunks of a page and more, as far as classes tell. */
static uint32_t count_chunks(const struct wire_arena *arena, size_t first)
{
	uint64_t n = 0;

	for (size_t i = first; i < WIRE_CLASSES; i++)
		n += arena->count[i];

	return (uint32_t)MIN(n, (uint64_t)UINT32_MAX);
}

void estimate_arena(const struct member *member, const struct wire_arena *arena,
		    struct forecast *ret)
{
	const struct stats *stats = &member->stats;
	const bool busy = estimate_is_busy(member);
	const uint64_t all = going_bytes(stats) / KIB + 1;
	const uint64_t own =
		add_sat(arena->whole_pages, arena->nr == 0 ? arena->top : 0) / KIB;
	uint64_t usec;

	/* Which arena's pages are resident is not known: alike in all. */
	ret->bytes = MIN(mul_sat(member->retained_bytes / all, own) +
				 member->retained_bytes % all * MIN(own, all) / all,
			 member->retained_bytes);
	usec = add_sat(estimate_walk_usec(count_chunks(arena, 0), count_chunks(arena, 1), busy),
		       estimate_drop_usec(stats, ret->bytes, busy));
	usec = calibrate_full(&member_lessons(member)->calibration, usec, busy);
	ret->stall_usec = ret->usec = brief_usec(usec);
}

/*
 * Of others than glibc's, which by themselves give back in time what is free: so what has gone since
 * they were asked was of that.
 */
static uint64_t foreign_left(const struct member *member, uint64_t foreign)
{
	return sub_sat(foreign, sub_sat(member->stats.rss, member->process.rss_bytes));
}

void estimate_member(struct member *member)
{
	const struct calibration *calibration = &member_lessons(member)->calibration;
	const struct stats *stats = &member->stats;
	const bool busy = estimate_is_busy(member);
	uint64_t usec, foreign, in_use;

	foreign = estimate_foreign(stats, &in_use);
	if (member->time_usec > 0)
		foreign = foreign_left(member, foreign);
	member->retained_bytes = estimate_retained(stats, member_lessons(member)->bias_bytes);
	usec = estimate_release_usec(stats, member->retained_bytes, busy);
	member->stall_usec = brief_usec(calibrate_full(calibration,
						       estimate_stall_usec(stats, busy), busy));
	member->release_usec = brief_usec(calibrate_full(calibration, usec, busy));
	member->borrow = (struct forecast){
		.bytes = estimate_borrow_bytes(stats, member->retained_bytes),
		.stall_usec = BORROW_STALL_USEC,
		.usec = brief_usec(mul_sat(usec, BORROW_TIMES)),
	};
	member->borrow_usec_per_mib =
		brief_usec(calibration->borrow_usec_per_mib > 0
				   ? calibration->borrow_usec_per_mib
				   : estimate_drop_usec(stats, GIB, busy) * BORROW_TIMES / (GIB / MIB));
	calibrate_borrow(calibration, &member->borrow);
	member->borrow.bytes = MIN(member->borrow.bytes, stats->heap_rss);

	/* Other allocators are asked along with glibc's, whatever the method. */
	member->retained_bytes = add_sat(member->retained_bytes, foreign);
	member->borrow.bytes = add_sat(member->borrow.bytes, foreign);
	if (member->time_usec == 0)
		return;

	/* The figures may be older. */
	member->retained_bytes = MIN(member->retained_bytes, member->process.anon_bytes);
	member->borrow.bytes = MIN(member->borrow.bytes, member->process.anon_bytes);
}

uint64_t estimate_borrow_usec(const struct member *member)
{
	const uint64_t grown_bytes =
		member->time_usec == 0 ? 0 : sub_sat(member->process.rss_bytes, member->stats.rss);

	return add_sat(member->borrow.usec,
		       mul_sat(grown_bytes / KIB, member->borrow_usec_per_mib) / (MIB / KIB));
}

uint64_t estimate_unused(const struct stats *stats)
{
	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	/* Mappings of others that lie beside an arena's are one with it for the kernel. */
	return sub_sat(MIN(stats->heap_rss, stats->system), stats->in_use);
}

uint64_t estimate_swapped(const struct stats *stats, uint64_t retained_bytes)
{
	const uint64_t backed = add_sat(stats->heap_rss, stats->heap_swap);
	const uint64_t gone = add_sat(staying_bytes(stats), retained_bytes);

	if ((stats->flags & WIRE_STATS_HEAP) == 0)
		return 0;

	return MIN(MIN(sub_sat(backed, gone), sub_sat(stats->free, retained_bytes)),
		   stats->heap_swap);
}

uint64_t estimate_foreign(const struct stats *stats, uint64_t *ret_in_use_bytes)
{
	const struct wire_foreign *foreign;
	uint64_t retained = 0, in_use = 0;

	for (unsigned int i = 0; (foreign = stats_foreign(stats, i)); i++) {
		retained = add_sat(retained, foreign->retained);
		in_use = add_sat(in_use, foreign->in_use);
	}

	*ret_in_use_bytes = MIN(in_use, stats->rss);
	/* A claim of the process: no more than the kernel says it has. */
	return MIN(retained, stats->rss);
}
