/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * When a group is worth an alert, and how often. Pure.
 *
 *   usage-critical   usage has been above UsageCritical for a second
 *   kill-near        a quarter of the limit is used, and the rest will be within 60 s: at
 *                    the growth that the trend says, and at that of the 3 s or more in
 *                    which the trend has said so
 *   oom-kill         the kernel's count has risen
 *   not-paying       usage is above UsageHigh, and three releases or more in a row
 *                    disappointed
 *
 * Growth of 1 % of the limit a second is told 57 s ahead, of 1.9 % still 30 s, where it lasts
 * that long. Each kind is told once each time, and again not before a minute has passed; that
 * pause doubles up to an hour while there is no peace of four of it.
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
	uint64_t n_oom_new;         /* since the last look, to be told or not */
	uint64_t n_held_back[ALERT_MAX_];
};

struct warn warn_step(const struct alert_memory *memory, const struct group *group,
		      uint64_t now_usec);

/* What is remembered when a group of the same name begins anew: what was told, not why. */
struct alert_memory warn_renew(const struct alert_memory *memory);
