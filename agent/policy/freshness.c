/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/policy/freshness.h"

#include "agent/basic/macro.h"
#include "agent/policy/estimate.h"

/* Less has happened than what would change a decision. */
#define MOVED_BYTES (16 * MIB)
#define MOVED_CPU_USEC (20 * USEC_PER_MSEC)

/* A group is calm when its usage has not moved for this long. */
#define CALM_USEC (1500 * USEC_PER_MSEC)

#define CALM_GAP_USEC (2 * USEC_PER_SEC)
#define BUSY_GAP_USEC (10 * USEC_PER_SEC)
#define RESTLESS_GAP_USEC (30 * USEC_PER_SEC)

/*
 * What threads leave that end is awaited for so long after a release. Else it is no hurry: in some
 * programs they end again and again, while nothing else shows.
 */
#define ENDS_AWAITED_USEC (60 * USEC_PER_SEC)

/*
 * Near the limit, where what a program has freed may keep it alive: also when nothing shows,
 * since a mass free can take less CPU time than is told from outside.
 */
#define NEAR_GAP_USEC (1 * USEC_PER_SEC)
#define NEAR_STILL_GAP_USEC (5 * USEC_PER_SEC)

/*
 * Of a program at work the walk may take this share of the time at most: one part in so
 * many. It was measured while it waited for busy threads, so it says nothing of an idle one.
 */
#define WALK_SHARE 200
/*
 * Where each is felt as a stall, fewer; but near the limit, where they may save the program. One that had
 * to wait for busy threads for seconds is no reason never to look again.
 */
#define DEAR_WALK_SHARE 4000
#define DEAR_GAP_MAX_USEC (600 * USEC_PER_SEC)

/* For as long a free chunk keeps the walk, and whoever needs its arena meanwhile. */
#define CHUNK_NSEC 25

/* A look, which gives nothing, may take this part of what a release may. */
#define BUDGET_PART 2

/* 5 % of a CPU. */
#define BUSY_PERMYRIAD 500

static bool has_moved(const struct group *group, const struct member *member,
		      uint64_t cpu_usec_then)
{
	const uint64_t now = member->process.rss_bytes, then = member->stats.rss;

	/* Taken in the middle of a burst, whose end may take less than a tick of CPU time. */
	if (member->stats_usec < add_sat(group->trend.steady_since_usec, CALM_USEC))
		return true;

	/* A mass free leaves RSS as it was; only the CPU time tells that there was work. */
	return MAX(now, then) - MIN(now, then) >= MOVED_BYTES ||
	       sub_sat(member->process.cpu_usec, cpu_usec_then) >= MOVED_CPU_USEC;
}

static bool is_near(const struct group *group)
{
	const struct reading *reading = &group->reading;
	const uint32_t high = group->settings->usage_high_permyriad;

	return high > 0 && reading->limit_bytes != BYTES_INFINITY &&
	       reading_taken_bytes(reading) >= share_of(reading->limit_bytes, high);
}

/* In which whoever needs the arena with most of them waits, as it was the last time. */
static uint64_t hold_usec(const struct stats *stats)
{
	const uint64_t least_usec = (uint64_t)stats->largest_n_free * CHUNK_NSEC / 1000;

	if (stats->n_free == 0)
		return least_usec;

	return MAX(least_usec, (uint64_t)stats->heap_usec * stats->largest_n_free / stats->n_free);
}

bool freshness_is_dear(const struct group *group, const struct member *member)
{
	return estimate_is_working(member) && estimate_can_borrow(member) &&
	       hold_usec(&member->stats) > group->settings->stall_budget_usec / BUDGET_PART;
}

bool freshness_is_due(const struct group *group, const struct member *member,
		      uint64_t cpu_usec_then, unsigned int n_threads_then, uint64_t now_usec)
{
	/* A thread that ends gives back what its cache held, at next to no CPU time. */
	const bool ended = member->process.n_threads < n_threads_then;
	const bool awaited = sub_sat(now_usec, member->last_release_usec) < ENDS_AWAITED_USEC;
	const bool moved = has_moved(group, member, cpu_usec_then) || (ended && awaited);
	const uint64_t age_usec = sub_sat(now_usec, member->stats_usec);
	const bool calm = sub_sat(now_usec, group->trend.steady_since_usec) >= CALM_USEC;
	const uint64_t least_usec = (uint64_t)member->stats.largest_n_free * CHUNK_NSEC / 1000;
	const bool busy = member->busy_permyriad >= BUSY_PERMYRIAD;
	const uint64_t rest_usec = (busy ? member->stats.heap_usec : least_usec) * WALK_SHARE;

	if (member->seccomp_changed)
		return false;
	if (member->stats_usec == 0)
		return true;
	/* Else the look right after a release would be felt as that was not. */
	if (member->residue_due && (is_near(group) || !freshness_is_dear(group, member)))
		return true;
	if (is_near(group))
		return age_usec >= MAX(moved || ended ? NEAR_GAP_USEC : NEAR_STILL_GAP_USEC,
				       rest_usec);
	if (!moved && !ended)
		return false;

	if (freshness_is_dear(group, member))
		return age_usec >= CLAMP(hold_usec(&member->stats) * DEAR_WALK_SHARE, RESTLESS_GAP_USEC,
					 DEAR_GAP_MAX_USEC);
	if (!calm)
		return age_usec >= MAX(RESTLESS_GAP_USEC, (uint64_t)member->stats.heap_usec * WALK_SHARE);

	/* Idle as it is, it may be asked for something any moment. */
	return age_usec >= MAX(busy || !moved ? BUSY_GAP_USEC : CALM_GAP_USEC, rest_usec);
}
