/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which disease this is: the only place that decides it. Pure. */

#include <stdint.h>

#include "agent/model/alert.h"
#include "agent/model/diagnosis.h"
#include "agent/model/group.h"
#include "agent/model/member.h"

/* Handed out by all allocators of a process that tell. */
uint64_t verdict_in_use(const struct stats *stats);

/* Takes a member's last figures into a sum that begins as zeroes; @method: of its group. */
void verdict_sum(struct sums *sums, const struct member *member, enum method method);

/*
 * Pages that processes have in common since a fork (copy-on-write) count with each of them, and the
 * group is charged once: when all are summed up, each has its part of that.
 */
void verdict_bound(struct sums *sums, const struct group *group);

/* The last of them leaves: from now on it is that reading, which is the last one with it, that counts. */
void verdict_leave(struct sums *sums, const struct reading *reading);

/*
 * From the sum over its members, its reading, its past rounds and kills; and of one member, by
 * the settings of its group. @ret is always filled in; its evidence is what the verdict
 * was decided by, the strongest first.
 */
void verdict_group(const struct group *group, const struct sums *sums,
		   const struct alert_memory *alerts, uint64_t now_usec, struct diagnosis *ret);
void verdict_member(const struct group *group, const struct member *member,
		    const struct alert_memory *alerts, uint64_t now_usec, struct diagnosis *ret);
