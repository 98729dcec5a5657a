/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * May a step be taken again? Each has a threshold, a cool-down and a number per hour; the
 * first two of a release are policy/gate's, of an alert all are policy/warn's. Pure.
 */

#include <stdint.h>

#include "agent/model/alert.h"
#include "agent/model/group.h"
#include "agent/model/swap.h"

/*
 * Is it due? A release by the last step of the gate; [Tune] after TuneAfter= releases in a row
 * came to nothing; reclaim, alert and command from UsageCritical= on.
 */
struct rung ladder_look(const struct group *group, enum step step, uint64_t now_usec);

/* Of the alert all that policy/warn knows of, not UsageCritical= alone. */
struct rung ladder_look_alert(const struct group *group, const struct alert_memory *memory,
			      uint64_t now_usec);

/*
 * The kernel reclaims where a release has left the group above UsageCritical=, and only into swap:
 * without any it would take file cache, which is no part of what leads to a kill.
 */
struct rung ladder_look_reclaim(const struct group *group, const struct swap *swap, uint64_t now_usec);
/* How much, when it is due: down to UsageHigh=, as far as MemoryReclaim= and swap reach. */
uint64_t ladder_reclaim_bytes(const struct group *group, const struct swap *swap);

/* REASON_NONE: it may. REASON_COOLDOWN, REASON_MAX_PER_HOUR: not so soon. */
enum reason ladder_held(const struct group *group, enum step step, uint64_t now_usec);
