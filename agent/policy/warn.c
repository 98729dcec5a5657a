/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/policy/warn.h"

#include "agent/basic/macro.h"

/* What a release mends by itself is no news. */
#define CRITICAL_LASTS_USEC (1 * USEC_PER_SEC)
/* A step in usage is growth to the trend for a while; growth that lasts is no step. */
#define KILL_NEAR_LASTS_USEC (3 * USEC_PER_SEC)

/* By then those in whose group a kill was have told it. */
#define BESIDE_LASTS_USEC (1 * USEC_PER_SEC)

/* Growth while most of the limit is free is a program that starts. */
#define KILL_NEAR_FLOOR_PERMYRIAD 2500

/* Back-off doubles from the cool-down on: this is the third disappointment in a row. */
#define NOT_PAYING_FACTOR 4

/* Peace of so many gaps, and the next alert is the first one again. */
#define PEACE_GAPS 4

static bool usage_is_above(const struct group *group, uint64_t permyriad)
{
	const struct reading *reading = &group->reading;

	return permyriad > 0 && reading->limit_bytes != BYTES_INFINITY &&
	       reading->anon_bytes > 0 &&
	       reading_taken_bytes(reading) >= share_of(reading->limit_bytes, permyriad);
}

/* What was killed before we came is somebody else's story. */
static uint64_t n_oom_kill(const struct group *group)
{
	return sub_sat(group->reading.n_oom_kill, group->first_oom_kill);
}

static bool is_killed(const struct alert_memory *memory, const struct group *group)
{
	return n_oom_kill(group) > memory->n_oom_kill;
}

static void step_near(struct alert_memory *memory, const struct group *group,
		      uint64_t now_usec)
{
	const bool near = group->trend.growth_bytes_per_sec > 0 &&
			  group->trend.eta_usec <= WARN_KILL_NEAR_USEC &&
			  usage_is_above(group, KILL_NEAR_FLOOR_PERMYRIAD);

	if (!near) {
		memory->near_since_usec = 0;
	} else if (memory->near_since_usec == 0 ||
		   reading_taken_bytes(&group->reading) < memory->near_bytes) {
		/* Also where another limit has come to count, of which less was taken. */
		memory->near_since_usec = MAX(now_usec, 1);
		memory->near_bytes = reading_taken_bytes(&group->reading);
	}
}

/* By the trend, and by what has really been added since the trend says so. */
static bool is_kill_near(const struct alert_memory *memory, const struct group *group,
			 uint64_t now_usec)
{
	const uint64_t taken_bytes = reading_taken_bytes(&group->reading);
	const uint64_t added_bytes = sub_sat(taken_bytes, memory->near_bytes);
	const uint64_t left_bytes = sub_sat(group->reading.limit_bytes, taken_bytes);
	const uint64_t elapsed_usec = sub_sat(now_usec, memory->near_since_usec);

	if (memory->near_since_usec == 0 || elapsed_usec < KILL_NEAR_LASTS_USEC)
		return false;

	/* In KiB and ms, so that the products fit. */
	return added_bytes > 0 &&
	       added_bytes / KIB * (WARN_KILL_NEAR_USEC / USEC_PER_MSEC) >=
		       left_bytes / KIB * MIN(elapsed_usec / USEC_PER_MSEC, UINT32_MAX / 2);
}

static bool is_not_paying(const struct group *group)
{
	const uint64_t first = MAX(group->settings->cooldown_usec, USEC_PER_SEC);

	return group_benefit(group)->backoff_usec / NOT_PAYING_FACTOR >= first &&
	       usage_is_above(group, group->settings->usage_high_permyriad);
}

static bool is_so(const struct alert_memory *memory, const struct group *group,
		  enum alert_kind kind, uint64_t now_usec)
{
	/* Who is gone needs no help; of a kill one still wants to hear. */
	if (group->n_members == 0 && kind != ALERT_OOM_KILL)
		return false;

	switch (kind) {
	case ALERT_USAGE_CRITICAL:
		return usage_is_above(group, group->settings->usage_critical_permyriad);
	case ALERT_KILL_NEAR:
		return is_kill_near(memory, group, now_usec);
	case ALERT_OOM_KILL:
		return is_killed(memory, group) ||
		       (group->n_members > 0 && group->shared.n_kills > memory->n_beside);
	case ALERT_NOT_PAYING:
		return is_not_paying(group);
	case ALERT_MAX_:
		break;
	}

	return false;
}

/* How long it has to be so. */
static uint64_t lasts_usec(const struct alert_memory *memory, const struct group *group,
			   enum alert_kind kind)
{
	if (kind == ALERT_OOM_KILL)
		return is_killed(memory, group) ? 0 : BESIDE_LASTS_USEC;

	return kind == ALERT_USAGE_CRITICAL ? CRITICAL_LASTS_USEC : 0;
}

_Static_assert(WARN_GAP_MAX_USEC <= UINT32_MAX, "a gap has 32 bits");

static uint32_t gap_next(uint64_t gap_usec, uint64_t told_usec, uint64_t now_usec)
{
	if (told_usec == 0 || sub_sat(now_usec, told_usec) >= PEACE_GAPS * gap_usec)
		return WARN_GAP_MIN_USEC;

	return (uint32_t)MIN(2 * gap_usec, WARN_GAP_MAX_USEC);
}

static void step_kind(struct warn *warn, const struct group *group, enum alert_kind kind,
		      uint64_t now_usec)
{
	struct alert_memory *memory = &warn->memory;
	const uint64_t bit = UINT64_C(1) << kind;

	if (!is_so(memory, group, kind, now_usec)) {
		if (memory->kinds[kind].since_usec > 0 && !(memory->told & bit) &&
		    now_usec - memory->kinds[kind].since_usec >= lasts_usec(memory, group, kind))
			memory->kinds[kind].n_held_back++;
		memory->kinds[kind].since_usec = 0;
		memory->told &= ~bit;
		return;
	}

	if (memory->kinds[kind].since_usec == 0)
		memory->kinds[kind].since_usec = MAX(now_usec, 1);

	if (memory->told & bit ||
	    sub_sat(now_usec, memory->kinds[kind].since_usec) < lasts_usec(memory, group, kind))
		return;

	if (memory->kinds[kind].told_usec > 0 &&
	    sub_sat(now_usec, memory->kinds[kind].told_usec) < memory->kinds[kind].gap_usec)
		return;

	memory->kinds[kind].gap_usec = gap_next(memory->kinds[kind].gap_usec,
						memory->kinds[kind].told_usec, now_usec);
	memory->kinds[kind].told_usec = MAX(now_usec, 1);
	memory->told |= bit;
	warn->n_held_back[kind] = memory->kinds[kind].n_held_back;
	memory->kinds[kind].n_held_back = 0;
	warn->due |= UINT32_C(1) << kind;
}

struct warn warn_step(const struct alert_memory *memory, const struct group *group,
		      uint64_t now_usec)
{
	struct warn warn = { .memory = *memory };

	/* Nothing was ever read: zeroes are no facts. */
	if (group->reading.time_usec == 0)
		return warn;

	warn.n_oom_new = sub_sat(n_oom_kill(group), warn.memory.n_oom_seen);
	warn.memory.n_oom_seen = n_oom_kill(group);
	step_near(&warn.memory, group, now_usec);
	for (int kind = 0; kind < ALERT_MAX_; kind++)
		step_kind(&warn, group, (enum alert_kind)kind, now_usec);

	if (warn.due & UINT32_C(1) << ALERT_OOM_KILL) {
		warn.n_oom_kills = n_oom_kill(group) - warn.memory.n_oom_kill;
		warn.memory.n_oom_kill = n_oom_kill(group);
		warn.n_beside = group->shared.n_kills - warn.memory.n_beside;
		warn.memory.n_beside = group->shared.n_kills;
		/* The next one is another one. */
		warn.memory.told &= ~(UINT64_C(1) << ALERT_OOM_KILL);
		warn.memory.kinds[ALERT_OOM_KILL].since_usec = 0;
	}

	return warn;
}

struct alert_memory warn_renew(const struct alert_memory *memory)
{
	struct alert_memory next = *memory;

	for (int kind = 0; kind < ALERT_MAX_; kind++)
		next.kinds[kind].since_usec = 0;

	next.told = 0;
	next.near_since_usec = 0;
	next.n_oom_kill = next.n_oom_seen = next.n_beside = 0;
	return next;
}

bool warn_is_common(const struct warn *warn, const struct group *group, enum alert_kind kind)
{
	return kind == ALERT_OOM_KILL ? warn->n_oom_kills == 0 : group->limit_level > 0;
}

static bool is_told(const struct alert_memory *memory, enum alert_kind kind, uint64_t now_usec)
{
	return memory->told & UINT64_C(1) << kind ||
	       (memory->kinds[kind].told_usec > 0 &&
		sub_sat(now_usec, memory->kinds[kind].told_usec) < memory->kinds[kind].gap_usec);
}

static bool is_seen(const struct alert_memory *memory, enum alert_kind kind)
{
	return memory->kinds[kind].since_usec > 0 ||
	       (kind == ALERT_KILL_NEAR && memory->near_since_usec > 0);
}

enum warn_rank warn_rank(const struct group *group, const struct group *other,
			 const struct alert_memory *memory, enum alert_kind kind,
			 uint64_t now_usec)
{
	/* Room that a kill has made may have brought other limits to count. */
	if (kind == ALERT_OOM_KILL ? !group_is_beside(group, group->shared_level, other)
				   : !group_shares_limit(group, other))
		return WARN_STRANGER;
	if (is_told(memory, kind, now_usec))
		return WARN_TOLD;
	/* Who is gone needs no help; and a kill is told by whoever comes first. */
	if (kind != ALERT_OOM_KILL && other->n_members > 0 && is_seen(memory, kind) &&
	    other->reading.anon_bytes > group->reading.anon_bytes)
		return WARN_LARGER;

	return WARN_SMALLER;
}

void warn_leave(struct alert_memory *memory, const struct alert_memory *told,
		enum alert_kind kind)
{
	memory->kinds[kind].told_usec = told->kinds[kind].told_usec;
	memory->kinds[kind].gap_usec = told->kinds[kind].gap_usec;
	memory->kinds[kind].n_held_back = 0;
	if (kind != ALERT_OOM_KILL && is_seen(memory, kind))
		memory->told |= UINT64_C(1) << kind;
}
