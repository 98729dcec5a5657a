/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/policy/warn.h"

#include "agent/basic/macro.h"
#include "agent/policy/climb.h"

/* What a release mends by itself is no news. */
#define CRITICAL_LASTS_USEC (1 * USEC_PER_SEC)
/* A step in usage is growth to the trend for a while; growth that lasts is no step. */
#define KILL_NEAR_LASTS_USEC (3 * USEC_PER_SEC)
/* It is looked at in such parts, of which so many must have grown. */
#define KILL_NEAR_PART_USEC (750 * USEC_PER_MSEC)
#define KILL_NEAR_PARTS 3

/*
 * What comes faster than this, up to so much of the limit and for less than so long, may be a program that
 * starts, where there is room for it, and usage was flat before. Slower growth is told at once, which is
 * 30 s ahead or more.
 */
#define START_PERMYRIAD_PER_SEC 190
#define START_PERMYRIAD 1800
#define START_USEC (6 * USEC_PER_SEC)
#define START_ROOM_PERMYRIAD 9000

/* A pause ends early where usage has come so far beyond what it was in it. */
#define BEYOND_PART 8
#define BEYOND_GAP_USEC (10 * USEC_PER_SEC)

/* By then those in whose group a kill was have told it. */
#define BESIDE_LASTS_USEC (1 * USEC_PER_SEC)

/* What a program needs comes back by the day. */
#define KILL_RECENT_USEC (24 * 3600 * USEC_PER_SEC)

/* Growth while most of the limit is free is a program that starts. */
#define KILL_NEAR_FLOOR_PERMYRIAD 2500

/* Disappointments in a row. */
#define NOT_PAYING_ROUNDS 3

/* What came back so many times is news beyond that only, or after a day. */
#define CAME_BACK 3
#define CAME_BACK_USEC (24 * 3600 * USEC_PER_SEC)

/* A fall by this part of the limit is the end of a tooth. */
#define FALL_PART 16

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

/* Does growth by @bytes in @usec fill what is left of the limit within @within_usec? */
static bool leads_to_limit(const struct reading *reading, uint64_t bytes, uint64_t usec,
			   uint64_t within_usec)
{
	const uint64_t left_bytes = sub_sat(reading->limit_bytes, reading_taken_bytes(reading));

	/* In KiB and ms, so that the products fit. */
	return bytes > 0 && bytes / KIB * (within_usec / USEC_PER_MSEC) >=
				    left_bytes / KIB * MIN(usec / USEC_PER_MSEC, UINT32_MAX / 2);
}

static struct alert_near begin_near(const struct group *group, uint64_t now_usec)
{
	const uint64_t taken_bytes = reading_taken_bytes(&group->reading);

	return (struct alert_near){
		.since_usec = MAX(now_usec, 1),
		.bytes = taken_bytes,
		.part_usec = now_usec,
		.part_bytes = taken_bytes,
		.grown_usec = now_usec,
	};
}

/* At half the growth that counts over all of them: it is not even. */
static void end_part(struct alert_near *near, const struct reading *reading, uint64_t now_usec)
{
	if (leads_to_limit(reading, sub_sat(reading_taken_bytes(reading), near->part_bytes),
			   now_usec - near->part_usec, 2 * WARN_KILL_NEAR_USEC)) {
		near->n_grown++;
		near->grown_usec = now_usec;
	}

	near->part_usec = now_usec;
	near->part_bytes = reading_taken_bytes(reading);
}

bool warn_is_kill_near(const struct group *group)
{
	return group->trend.growth_bytes_per_sec > 0 &&
	       group->trend.eta_usec <= WARN_KILL_NEAR_USEC &&
	       usage_is_above(group, KILL_NEAR_FLOOR_PERMYRIAD);
}

bool warn_is_kill_recent(const struct alert_memory *memory, const struct group *group,
			 uint64_t now_usec)
{
	return memory->killed_usec > 0 &&
	       sub_sat(now_usec, memory->killed_usec) < KILL_RECENT_USEC &&
	       (memory->killed_level != group->limit_level ||
		memory->killed_limit_bytes >= group->reading.limit_bytes);
}

uint64_t warn_killed_usec(const struct alert_memory *memory, const struct group *group)
{
	return n_oom_kill(group) > memory->n_oom_seen ? group->reading.time_usec
						      : memory->killed_usec;
}

static void step_near(struct alert_near *near, const struct group *group, uint64_t now_usec)
{
	if (!warn_is_kill_near(group)) {
		*near = (struct alert_near){ 0 };
		return;
	}

	/* Also where another limit has come to count, of which less was taken. */
	if (near->since_usec == 0 || reading_taken_bytes(&group->reading) < near->bytes) {
		*near = begin_near(group, now_usec);
		return;
	}

	if (sub_sat(now_usec, near->part_usec) >= KILL_NEAR_PART_USEC)
		end_part(near, &group->reading, now_usec);
	/* It was a step, and is over. */
	if (sub_sat(now_usec, near->grown_usec) >= KILL_NEAR_LASTS_USEC)
		*near = begin_near(group, now_usec);
}

/* All that it needs, and no more then? */
static bool may_be_start(const struct alert_memory *memory, const struct reading *reading, uint64_t bytes,
			 uint64_t usec)
{
	const uint64_t limit_bytes = reading->limit_bytes;

	return climb_is_first(&memory->climb) && usec < START_USEC &&
	       bytes < share_of(limit_bytes, START_PERMYRIAD) &&
	       bytes > share_of(limit_bytes, START_PERMYRIAD_PER_SEC * usec / USEC_PER_SEC) &&
	       memory->near.bytes < share_of(limit_bytes, START_ROOM_PERMYRIAD - START_PERMYRIAD);
}

/* By the trend, and by what has really been added since the trend says so, up to now. */
static bool is_kill_near(const struct alert_memory *memory, const struct group *group,
			 uint64_t now_usec)
{
	const struct alert_near *near = &memory->near;
	const uint64_t bytes = sub_sat(reading_taken_bytes(&group->reading), near->bytes);
	const uint64_t elapsed_usec = sub_sat(now_usec, near->since_usec);
	const bool is_told = memory->told & UINT32_C(1) << ALERT_KILL_NEAR;

	if (near->since_usec == 0 || elapsed_usec < KILL_NEAR_LASTS_USEC ||
	    near->n_grown < KILL_NEAR_PARTS)
		return false;
	if (!is_told && (near->grown_usec != near->part_usec ||
			 may_be_start(memory, &group->reading, bytes, elapsed_usec)))
		return false;

	return leads_to_limit(&group->reading, bytes, elapsed_usec, WARN_KILL_NEAR_USEC);
}

/* The same by the least that was taken, where growth rests or hides: by *@ret_bytes in *@ret_usec. */
static bool is_kill_climbing(const struct alert_memory *memory, const struct group *group,
			     uint64_t *ret_bytes, uint64_t *ret_usec)
{
	const struct reading *reading = &group->reading;
	const bool is_told = memory->told & UINT32_C(1) << ALERT_KILL_NEAR;
	/* What is told stays so although the measure is coarse. */
	const uint64_t within_usec = is_told ? 2 * WARN_KILL_NEAR_USEC : WARN_KILL_NEAR_USEC;

	if (!usage_is_above(group, KILL_NEAR_FLOOR_PERMYRIAD))
		return false;

	return (climb_in_steps(&memory->climb, reading, is_told, ret_bytes, ret_usec) &&
		leads_to_limit(reading, *ret_bytes, *ret_usec, within_usec)) ||
	       (climb_under_teeth(&memory->climb, reading, ret_bytes, ret_usec) &&
		leads_to_limit(reading, *ret_bytes, *ret_usec, within_usec));
}

/* What is told of it: where it is not by the trend of this moment, by what it is. */
static void tell_growth(struct warn *warn, const struct group *group, uint64_t now_usec)
{
	const struct reading *reading = &group->reading;
	const uint64_t left_bytes = sub_sat(reading->limit_bytes, reading_taken_bytes(reading));
	uint64_t bytes, usec;

	warn->growth_bytes_per_sec = group->trend.growth_bytes_per_sec;
	warn->eta_usec = group->trend.eta_usec;
	if (is_kill_near(&warn->memory, group, now_usec) ||
	    !is_kill_climbing(&warn->memory, group, &bytes, &usec))
		return;

	/* It leads there within two minutes, so neither is below a KiB or a millisecond. */
	bytes = MAX(bytes / KIB, 1);
	usec = MAX(usec / USEC_PER_MSEC, 1);
	warn->growth_bytes_per_sec = (int64_t)MIN(mul_sat(bytes, USEC_PER_MSEC * KIB) / usec, INT64_MAX);
	warn->eta_usec = mul_sat(mul_sat(left_bytes / KIB, usec) / bytes, USEC_PER_MSEC);
}

static bool is_not_paying(const struct group *group)
{
	return group_benefit(group)->n_disappointing >= NOT_PAYING_ROUNDS &&
	       usage_is_above(group, group->settings->usage_high_permyriad);
}

static bool is_so(const struct alert_memory *memory, const struct group *group,
		  enum alert_kind kind, uint64_t now_usec)
{
	uint64_t bytes, usec;

	/* Who is gone needs no help; of a kill one still wants to hear. */
	if (group->n_members == 0 && kind != ALERT_OOM_KILL)
		return false;

	switch (kind) {
	case ALERT_USAGE_CRITICAL:
		return usage_is_above(group, group->settings->usage_critical_permyriad);
	case ALERT_KILL_NEAR:
		return is_kill_near(memory, group, now_usec) ||
		       is_kill_climbing(memory, group, &bytes, &usec);
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

/* So far that it is no repetition of what was told. */
static bool is_beyond(const struct alert_memory *memory, const struct group *group)
{
	const uint64_t room_bytes = sub_sat(group->reading.limit_bytes, memory->peak_bytes);

	return reading_taken_bytes(&group->reading) >
	       add_sat(memory->peak_bytes, room_bytes / BEYOND_PART);
}

static uint64_t pause_usec(const struct alert_memory *memory, enum alert_kind kind)
{
	return kind == ALERT_KILL_NEAR && memory->n_near >= CAME_BACK ? CAME_BACK_USEC
								       : memory->kinds[kind].gap_usec;
}

/* Is it too soon to tell it again? */
static bool is_held(const struct alert_memory *memory, const struct group *group,
		    enum alert_kind kind, uint64_t now_usec)
{
	const uint64_t told_usec = memory->kinds[kind].told_usec;
	const uint64_t since_usec = sub_sat(now_usec, told_usec);

	if (told_usec == 0 || since_usec >= pause_usec(memory, kind))
		return false;

	return kind != ALERT_KILL_NEAR || since_usec < BEYOND_GAP_USEC ||
	       !is_beyond(memory, group);
}

/* The most that usage was since a near kill was told, but for a danger that is not told yet. */
static void step_peak(struct warn *warn, const struct group *group)
{
	const uint32_t bit = UINT32_C(1) << ALERT_KILL_NEAR;
	const uint64_t taken_bytes = reading_taken_bytes(&group->reading);
	struct alert_memory *memory = &warn->memory;

	if (memory->kinds[ALERT_KILL_NEAR].told_usec == 0)
		return;

	/* After peace all begins anew. */
	if (warn->due & bit && memory->kinds[ALERT_KILL_NEAR].gap_usec == WARN_GAP_MIN_USEC)
		memory->peak_bytes = 0;
	if (memory->told & bit ||
	    (memory->near.since_usec == 0 && memory->kinds[ALERT_KILL_NEAR].since_usec == 0))
		memory->peak_bytes = MAX(memory->peak_bytes, taken_bytes);

	memory->top_bytes = MAX(memory->top_bytes, taken_bytes);
	if (sub_sat(memory->top_bytes, taken_bytes) < group->reading.limit_bytes / FALL_PART)
		return;

	/* It came back from there, told or not: each tooth a little higher is no news. */
	if (memory->n_near >= CAME_BACK)
		memory->peak_bytes = MAX(memory->peak_bytes, memory->top_bytes);
	memory->top_bytes = taken_bytes;
}

static void step_kind(struct warn *warn, const struct group *group, enum alert_kind kind,
		      uint64_t now_usec)
{
	struct alert_memory *memory = &warn->memory;
	const uint32_t bit = UINT32_C(1) << kind;

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

	if (is_held(memory, group, kind, now_usec))
		return;

	memory->kinds[kind].gap_usec = gap_next(memory->kinds[kind].gap_usec,
						memory->kinds[kind].told_usec, now_usec);
	memory->kinds[kind].told_usec = MAX(now_usec, 1);
	memory->told |= bit;
	if (kind == ALERT_KILL_NEAR)
		memory->n_near = (uint16_t)MIN(memory->n_near + 1, CAME_BACK);
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
	if (warn.n_oom_new > 0) {
		warn.memory.killed_usec = MAX(now_usec, 1);
		warn.memory.killed_limit_bytes = group->reading.limit_bytes;
		warn.memory.killed_level = group->limit_level;
		warn.memory.n_near = 0;
	}
	step_near(&warn.memory.near, group, now_usec);
	if (climb_step(&warn.memory.climb, group,
		       warn_is_kill_near(group) || warn.memory.n_near > 0, now_usec)) {
		warn.memory.n_near = 0;
		warn.memory.peak_bytes = 0;
	}
	for (int kind = 0; kind < ALERT_MAX_; kind++)
		step_kind(&warn, group, (enum alert_kind)kind, now_usec);
	step_peak(&warn, group);
	if (warn.due != 0)
		tell_growth(&warn, group, now_usec);

	if (warn.due & UINT32_C(1) << ALERT_OOM_KILL) {
		warn.n_oom_kills = n_oom_kill(group) - warn.memory.n_oom_kill;
		warn.memory.n_oom_kill = n_oom_kill(group);
		warn.n_beside = group->shared.n_kills - warn.memory.n_beside;
		warn.memory.n_beside = group->shared.n_kills;
		/* The next one is another one. */
		warn.memory.told &= ~(UINT32_C(1) << ALERT_OOM_KILL);
		warn.memory.kinds[ALERT_OOM_KILL].since_usec = 0;
	}

	return warn;
}

/* It was so to the end, and too soon after the last one. What has to last may not have. */
static bool is_left_untold(const struct alert_memory *memory, enum alert_kind kind)
{
	return kind != ALERT_USAGE_CRITICAL && memory->kinds[kind].since_usec > 0 &&
	       !(memory->told & UINT32_C(1) << kind);
}

struct alert_memory warn_renew(const struct alert_memory *memory)
{
	struct alert_memory next = *memory;

	for (int kind = 0; kind < ALERT_MAX_; kind++) {
		next.kinds[kind].n_held_back += is_left_untold(memory, (enum alert_kind)kind);
		next.kinds[kind].since_usec = 0;
	}

	next.told = 0;
	next.near = (struct alert_near){ 0 };
	next.climb = (struct alert_climb){ 0 };
	next.n_near = 0;
	next.n_oom_kill = next.n_oom_seen = next.n_beside = 0;
	return next;
}

bool warn_is_common(const struct warn *warn, const struct group *group, enum alert_kind kind)
{
	return kind == ALERT_OOM_KILL ? warn->n_oom_kills == 0 : group->limit_level > 0;
}

static bool is_seen(const struct alert_memory *memory, enum alert_kind kind)
{
	return memory->kinds[kind].since_usec > 0 ||
	       (kind == ALERT_KILL_NEAR && memory->near.since_usec > 0);
}

enum warn_rank warn_rank(const struct group *group, const struct group *other,
			 const struct alert_memory *memory, enum alert_kind kind,
			 uint64_t now_usec)
{
	/* Room that a kill has made may have brought other limits to count. */
	if (kind == ALERT_OOM_KILL ? !group_is_beside(group, group->shared_level, other)
				   : !group_shares_limit(group, other))
		return WARN_STRANGER;
	if (memory->told & UINT32_C(1) << kind || is_held(memory, other, kind, now_usec))
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
	if (kind == ALERT_KILL_NEAR) {
		memory->peak_bytes = told->peak_bytes;
		memory->n_near = told->n_near;
	}
	if (kind != ALERT_OOM_KILL && is_seen(memory, kind))
		memory->told |= UINT32_C(1) << kind;
}
