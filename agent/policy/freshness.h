/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Are a member's statistics worth asking for again? Reading them stalls the program for
 * some 25 ns per free chunk, so: when something happened since, when the group is calm or
 * so near its limit that they are the only sign of help, and never so often that the reading
 * itself is noticed. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/group.h"
#include "agent/model/member.h"

/* What the process had when its statistics were taken: @cpu_usec_then used, @n_threads_then. */
bool freshness_is_due(const struct group *group, const struct member *member,
		      uint64_t cpu_usec_then, unsigned int n_threads_then, uint64_t now_usec);

/*
 * @member is at work, and to read them would stall it for more than half of StallBudgetMSec=, as
 * the last time did. Borrowing, which needs no figures, would not.
 */
bool freshness_is_dear(const struct group *group, const struct member *member);
