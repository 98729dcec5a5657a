/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * When a group is worth an alert, and how often. Pure.
 *
 *   usage-critical   usage has been above UsageCritical for a second
 *   kill-near        a quarter of the limit is used, and the rest will be within 60 s: at
 *                    the growth that the trend says, and at that of the 3 s or more in
 *                    which the trend has said so, of which more than one step was made; or
 *                    at that of the least that was taken (climb.h)
 *   oom-kill         the kernel's count has risen; a second ago, where it was beside the group
 *   not-paying       usage is above UsageHigh, and three releases or more in a row
 *                    disappointed
 *
 * Growth of 1 % of the limit a second is told 57 s ahead, of 1.9 % still 30 s, where it lasts
 * that long. What is faster and begins from flat usage may be a program that starts: it is told up
 * to 3 s later, when it is more than 18 % of the limit or has lasted 6 s. Each kind is told once each
 * time, and again not before a minute has passed; that pause doubles up to an hour while there is no
 * peace of four of it. A kill that comes near beyond all that usage was since the last one was told
 * is not held back by that one, which was false. After three without a kill, what is not beyond that
 * is told once a day: it came back each time. Of a slow leak under large teeth that leaves the last
 * few teeth. A restart, a kill and another limit end that.
 *
 * What threatens at a limit that groups share is told once for all of them, and of the one that
 * has the most. Who finds it due looks at the others; what one of them has told is told of all.
 */

#include "agent/basic/macro.h"
#include "agent/model/alert.h"
#include "agent/model/group.h"

#define WARN_GAP_MIN_USEC (60 * USEC_PER_SEC)
#define WARN_GAP_MAX_USEC (3600 * USEC_PER_SEC)
#define WARN_KILL_NEAR_USEC (60 * USEC_PER_SEC)

struct warn {
	struct alert_memory memory; /* to be given back the next time */
	uint32_t due;               /* bits of enum alert_kind to be told now */
	uint64_t n_oom_kills;       /* of each of them, see struct alert */
	uint64_t n_beside;          /* likewise */
	uint64_t n_oom_new;         /* since the last look, to be told or not */
	uint64_t n_held_back[ALERT_MAX_];
	int64_t growth_bytes_per_sec; /* of each of them, see struct alert */
	uint64_t eta_usec;            /* likewise */
};

/* By the trend alone, which takes a step for growth for a while. */
bool warn_is_kill_near(const struct group *group);

/*
 * One was in it so short a time ago that it says there is too little, and the limit was not raised
 * since.
 */
bool warn_is_kill_recent(const struct alert_memory *memory, const struct group *group,
			 uint64_t now_usec);

/* When the last one was, also of which warn_step() has not heard yet; 0: never. */
uint64_t warn_killed_usec(const struct alert_memory *memory, const struct group *group);

struct warn warn_step(const struct alert_memory *memory, const struct group *group,
		      uint64_t now_usec);

/* What is remembered when a group of the same name begins anew: what was told, not why. */
struct alert_memory warn_renew(const struct alert_memory *memory);

/* What is due is so of all groups that share the limit; not a kill in this one. */
bool warn_is_common(const struct warn *warn, const struct group *group, enum alert_kind kind);

/* What another group has to do with what is due for this one. */
enum warn_rank {
	WARN_STRANGER, /* nothing: it does not share the limit */
	WARN_SMALLER,  /* nobody has told of it, and nobody should */
	WARN_LARGER,   /* it sees the same, and should tell */
	WARN_TOLD,     /* it has told already: still so, or not long enough ago */
};

enum warn_rank warn_rank(const struct group *group, const struct group *other,
			 const struct alert_memory *memory, enum alert_kind kind,
			 uint64_t now_usec);

/* Another group has told what is so for this one, too, or will be. */
void warn_leave(struct alert_memory *memory, const struct alert_memory *told,
		enum alert_kind kind);
