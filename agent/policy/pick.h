/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whom to ask, and for how much. Pure.
 *
 * First who gives most for what it costs: near a kill the time that it takes, before
 * that the stall of a program at work; where that is alike, the largest. Left out:
 * members whose agent must not be woken, that failed three times in a row, whose
 * expected release is below MinRelease= (unless a kill is near or a command named them),
 * or whose predicted stall is over the budget while the group is calm and the program is
 * busy. Of a member without figures nothing is expected: it comes last, by RSS, and is
 * asked from UsageHigh= on only. A command asks everybody who can be asked, also those
 * that failed.
 *
 * Above UsageHigh= as many are asked as it takes to leave that state, and the others not, unless the
 * limit will be reached soon. For every other reason all are: while calm so that all that is
 * retained is given back, under stalls and near a kill because too little is worse than too
 * much.
 *
 * Where the gate opened for what nobody tells of, those are asked that have grown by MinRelease=.
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

/* How @m would be asked, were it chosen. */
struct pick pick_one(const struct group *group, const struct member *m, enum reason trigger,
		     enum method method);

/* Shall its figures be read before it is asked as @pick says? Who gives a command can wait for them. */
bool pick_needs_figures(const struct group *group, const struct member *m, enum reason trigger,
			const struct pick *pick);

/* True when it is asked as fast as can be. */
bool pick_is_urgent(const struct group *group, const struct member *m, enum reason trigger);

/* True when by @reading nobody else has to be asked. */
bool pick_is_enough(const struct decision *decision, const struct reading *reading);
