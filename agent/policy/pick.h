/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whom to ask, and for how much. Pure.
 *
 * Largest expected release first. Left out: members whose agent must not be woken, that
 * failed three times in a row, whose expected release is below MinRelease= (unless a kill
 * is near or a command named them), or whose predicted stall is over the budget while
 * the group is calm and the program is busy. Of a member without figures nothing is
 * expected: it comes last, by RSS, and is asked from UsageHigh= on only. A command
 * asks everybody who can be asked, also those that failed.
 *
 * METHOD_AUTO: a full trim where its stall fits the budget, nobody would feel it, or a kill
 * is so near that only speed counts; else borrow where the process can; else, while calm,
 * wait, and under pressure a full trim after all.
 */

#include <stddef.h>
#include <stdint.h>

#include "agent/model/group.h"
#include "agent/model/member.h"

/*
 * @trigger is the gate's reason, or REASON_COMMAND; @method the group's, or the command's.
 * @ret is always filled in.
 */
void pick_members(const struct group *group, const struct member *const *members,
		  size_t n_members, enum reason trigger, enum method method,
		  struct decision *ret);
