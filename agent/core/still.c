/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/still.h"

#include "agent/basic/macro.h"
#include "agent/core/guard.h"
#include "agent/core/pace.h"
#include "agent/policy/gate.h"

/*
 * The more there are the less often each is read while nothing moves, so that a calm machine
 * costs the same with ten groups as with thousands. How long one of them takes:
 */
#define READING_SHARE_USEC (200 * USEC_PER_MSEC) /* all files of a group, of some 50 us */
#define USAGE_SHARE_USEC (20 * USEC_PER_MSEC) /* its usage alone, of some 3 us */
#define READING_LAST_USEC (1 * USEC_PER_SEC)

/* All that is charged, as far as it is known, against the limit. */
static uint64_t charged_bytes(const struct group *group)
{
	return add_sat(group->reading.usage_bytes, group->reading.others_bytes);
}

/*
 * Nothing is going on, and nothing is waited for. Near the limit usage stays the same while
 * memory in use takes the place of page cache: there only a whole reading tells.
 */
static bool is_calm(const struct guard *guard, uint64_t now_usec)
{
	const struct group *group = &guard->group;

	return cgroup_is_open(&guard->cgroup) && guard->usage_usec != 0 && group->n_members > 0 &&
	       group->gate.state == GATE_CALM && !guard->round &&
	       charged_bytes(group) < guard_high_bytes(guard) &&
	       !guard->signals.pressure && !guard->signals.limit_hit &&
	       !gate_is_laden(group) && !group->climbs &&
	       now_usec - guard->survey_usec < guard->survey_gap_usec;
}

/* Can it be nearer to a threshold than half of the way that was left? */
static bool may_have_grown(const struct guard *guard)
{
	const uint64_t allocated_bytes = pace_allocated(guard->manager);

	/* Unknown is infinite, on either side. */
	return allocated_bytes == BYTES_INFINITY ||
	       sub_sat(allocated_bytes, guard->allocated_bytes) >=
		       sub_sat(guard_high_bytes(guard), charged_bytes(&guard->group)) / 2;
}

bool still_holds(struct guard *guard, uint64_t now_usec)
{
	const struct manager *manager = guard->manager;
	const uint64_t last_bytes = guard->group.reading.usage_bytes;
	uint64_t bytes;
	bool may;

	if (!is_calm(guard, now_usec) ||
	    now_usec - guard->group.reading.time_usec >=
		    MAX(READING_LAST_USEC, manager->n_guards * READING_SHARE_USEC))
		return false;
	may = may_have_grown(guard);
	if (!may && now_usec - guard->usage_usec < manager->n_guards * USAGE_SHARE_USEC)
		return true;
	/* Its own usage does not tell what others have of a limit above it. */
	if (may && cgroup_is_limited_above(&guard->cgroup))
		return false;
	if (cgroup_read_usage(&guard->cgroup, &bytes) < 0 ||
	    MAX(bytes, last_bytes) - MIN(bytes, last_bytes) >= GUARD_MOVED_BYTES)
		return false;

	guard->usage_usec = now_usec;
	/* Where it does not tell of others, what was handed out adds up until all is read. */
	if (!cgroup_is_limited_above(&guard->cgroup))
		guard->allocated_bytes = pace_allocated(guard->manager);
	return true;
}
