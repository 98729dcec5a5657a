/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a verdict is made from, of all members. Their figures are claims: any value must be survived. */

#include "agent/policy/verdict.h"

#include "agent/basic/macro.h"
#include "agent/policy/estimate.h"

/* A floor rises when it did by this much, by a good part of it in every quarter. */
#define RISE_LEAST_BYTES (16 * MIB)
#define RISE_PART 16
#define STEP_PART 10

uint64_t verdict_in_use(const struct stats *stats)
{
	uint64_t foreign;

	(void)estimate_foreign(stats, &foreign);
	return add_sat(add_sat(stats->in_use, stats->mmapped), foreign);
}

/* Its malloc() tells nothing, so what it holds cannot be divided. */
static bool is_opaque(const struct member *member)
{
	const struct wire_foreign *foreign;
	const uint32_t owner = member->hello.malloc_owner;

	if (owner == 0 || owner == WIRE_ALLOCATOR_GLIBC || owner == WIRE_ALLOCATOR_OTHER)
		return false;

	for (unsigned int i = 0; (foreign = stats_foreign(&member->stats, i)); i++)
		if (foreign->allocator == owner)
			return foreign->in_use == 0 && foreign->retained == 0;

	return true;
}

/* It could give back what is free by itself, and nobody has set when. */
static bool is_lazy(const struct member *member)
{
	const uint32_t decays = WIRE_ALLOCATOR_MIMALLOC | WIRE_ALLOCATOR_JEMALLOC;
	const uint32_t set = member->hello.tuned | member->hello.env_tuned;

	return (member->hello.malloc_owner & decays) && !(set & 1U << WIRE_KNOB_DECAY);
}

/* Each member has its first thread, whose stack is no mapping of its own making, and the hook's. */
static uint32_t count_stacks(const struct process *process)
{
	return process->n_threads > 2 ? process->n_threads - 2 : 0;
}

/* Either of them, set by whomever, keeps both where they are: mallopt(3). */
static bool is_loose(const struct member *member)
{
	const uint32_t set = member->hello.tuned | member->hello.env_tuned;
	const uint32_t pins = 1U << WIRE_KNOB_MMAP_THRESHOLD | 1U << WIRE_KNOB_TRIM_THRESHOLD;

	return (member->hello.malloc_owner == 0 || (member->hello.malloc_owner & WIRE_ALLOCATOR_GLIBC)) &&
	       !(set & pins);
}

static bool rises(const struct rise *rise)
{
	const uint64_t all = sub_sat(rise->last_bytes, rise->first_bytes);

	return all >= MAX(RISE_LEAST_BYTES, rise->last_bytes / RISE_PART) &&
	       rise->least_step_bytes >= all / STEP_PART;
}

static void sum_floors(struct sums *sums, const struct member *member)
{
	const struct rise rise = floors_rise(&member->floors, member->stats_usec);

	if (rise.n < FLOORS_ENOUGH)
		return;

	sums->n_judged++;
	sums->floor_span_usec = MAX(sums->floor_span_usec, rise.span_usec);
	sums->n_rising += rise.last_step_bytes > 0 &&
			  rise.last_step_bytes >= rise.last_bytes / RISE_PART;
	if (!rises(&rise))
		return;

	sums->floor_first_bytes = add_sat(sums->floor_first_bytes, rise.first_bytes);
	sums->floor_last_bytes = add_sat(sums->floor_last_bytes, rise.last_bytes);
	sums->n_floor_figures += MIN(rise.n_figures, UINT32_MAX - sums->n_floor_figures);
}

static void sum_release(struct sums *sums, const struct member *member)
{
	const struct lessons *lessons = member_lessons(member);
	const struct wire_reclaim_reply *r = &lessons->last_release;

	if (member->last_release_usec == 0)
		return;

	sums->release_usec = MAX(sums->release_usec, member->last_release_usec);
	sums->expected_bytes = add_sat(sums->expected_bytes, lessons->last_forecast.bytes);
	sums->before_bytes = add_sat(sums->before_bytes, r->rss_before);
	sums->released_bytes =
		add_sat(sums->released_bytes, sub_sat(r->rss_before, r->rss_after));
	sums->n_unseen += member->stats_usec < member->last_release_usec;
	if (r->end == WIRE_END_DONE)
		return;

	sums->n_cut_short++;
	sums->n_cut_unseen += member->stats_usec < member->last_release_usec;
}

/*
 * What a release took away others than glibc had said to be free: of that the figures know nothing
 * any more, and where it did not go it was in use again.
 */
static uint64_t grown_bytes(const struct member *member)
{
	uint64_t then_bytes = member->stats.rss, in_use_bytes;

	if (member->stats_usec < member->last_release_usec)
		then_bytes = sub_sat(then_bytes, estimate_foreign(&member->stats, &in_use_bytes));

	return sub_sat(member->process.rss_bytes, then_bytes);
}

void verdict_sum(struct sums *sums, const struct member *member, enum method method)
{
	const struct process *p = &member->process;
	const struct stats *s = &member->stats;

	sums->heap.rss_bytes = add_sat(sums->heap.rss_bytes, p->rss_bytes);
	sums->anon_bytes = add_sat(sums->anon_bytes, p->anon_bytes);
	sums->file_bytes = add_sat(sums->file_bytes, sub_sat(p->rss_bytes, p->anon_bytes));
	sums->shmem_bytes = add_sat(sums->shmem_bytes, share_of(p->rss_bytes, p->shmem_permyriad));
	sums->swap_bytes = add_sat(sums->swap_bytes, p->swap_bytes);
	if (p->rss_bytes >= sums->largest_bytes) {
		sums->largest_bytes = p->rss_bytes;
		sums->use.largest_pid = p->pid;
	}
	sums->n_threads += MIN(p->n_threads, UINT32_MAX - sums->n_threads);
	sums->n_stacks += MIN(count_stacks(p), UINT32_MAX - sums->n_stacks);
	sums->n_stopped += member_is_stopped(member);
	sum_release(sums, member);
	sums->heap.untold_bytes = add_sat(sums->heap.untold_bytes, estimate_untold(member));
	/* Of one that was never asked, and may never be, nothing is known but that. */
	if (member->stats_usec == 0) {
		sums->use.grown_bytes = add_sat(sums->use.grown_bytes, p->anon_bytes);
		return;
	}

	sums->use.in_use_bytes = add_sat(sums->use.in_use_bytes, verdict_in_use(s));
	sums->heap.retained_bytes =
		add_sat(sums->heap.retained_bytes, estimate_give(member, method));
	sums->heap.fresh_bytes = add_sat(sums->heap.fresh_bytes,
				    sub_sat(estimate_give(member, method),
					    member_lessons(member)->vain_bytes));
	sums->use.unused_bytes = add_sat(sums->use.unused_bytes, estimate_unused(s));
	sums->use.swapped_free_bytes =
		add_sat(sums->use.swapped_free_bytes,
			MIN(estimate_swapped(s, member->retained_bytes), p->swap_bytes));
	sums->huge_bytes = add_sat(sums->huge_bytes, s->heap_huge);
	sums->use.stall_usec = MAX(sums->use.stall_usec, member->stall_usec);
	sums->n_arenas = MAX(sums->n_arenas, s->n_arenas);
	sums->owners |= member->hello.malloc_owner;
	sums->is_loose |= is_loose(member);
	if (s->rss > 0)
		sums->use.grown_bytes = add_sat(sums->use.grown_bytes, grown_bytes(member));
	if (is_opaque(member)) {
		sums->opaque_bytes = add_sat(sums->opaque_bytes, p->anon_bytes);
		sums->opaque_owners |= member->hello.malloc_owner;
		sums->n_opaque_lazy += is_lazy(member);
	}
	if (sums->heap.time_usec == 0 || member->stats_usec < sums->heap.time_usec)
		sums->heap.time_usec = member->stats_usec;
	sum_floors(sums, member);
}

void verdict_bound(struct sums *sums, const struct group *group)
{
	const uint64_t all = sums->anon_bytes, once = group->reading.anon_bytes;
	uint64_t *const shared[] = {
		&sums->anon_bytes, &sums->huge_bytes, &sums->opaque_bytes,
		&sums->heap.retained_bytes, &sums->heap.fresh_bytes, &sums->heap.untold_bytes,
		&sums->use.in_use_bytes, &sums->use.unused_bytes, &sums->use.grown_bytes,
		&sums->floor_first_bytes, &sums->floor_last_bytes,
		&sums->expected_bytes, &sums->released_bytes, &sums->before_bytes,
	};

	/* The counters are not in step: a little is nothing. One alone shares with no other member. */
	if (group->n_members < 2 || group->reading.time_usec == 0 || sub_sat(all, once) <= all / 16)
		return;

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		*shared[i] = (uint64_t)((double)*shared[i] * ((double)once / (double)all));
}

void verdict_leave(struct sums *sums, const struct reading *reading)
{
	sums->left = *reading;
	/* Of who was killed the memory is gone before its connection is. */
	sums->left.anon_bytes = MAX(reading->anon_bytes, sums->anon_bytes);
}
