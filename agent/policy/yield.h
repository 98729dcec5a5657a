/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether a round that is under way gives way to what its group has come to since. Pure.
 *
 * A round asks one member after the other, and borrowing from one may take many seconds. It
 * gives way, once for each of the two, when the group is critical and was not, and when the limit
 * will be reached so soon that there may be no second chance: then whoever was not asked yet is
 * chosen anew. Who is being borrowed from meanwhile is asked at once for a full trim, where
 * pick_members() would now ask for one because it is urgent. Not where the gate is closed, for a
 * round of its own would not begin then either; nor where Method= leaves no choice.
 */

#include "agent/model/group.h"
#include "agent/model/running.h"

/*
 * @group with its gate as it is now. @ret_pick: how running->member is to be asked; with YIELD_ALL
 * only.
 */
enum yield yield_decide(const struct group *group, const struct running *running, uint64_t now_usec,
			struct pick *ret_pick);
