/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rounds as files: of each round that asks somebody what the policy was given is kept until
 * the next one, and a group can be written down as it is now.
 */

#include "agent/core/state.h"
#include "agent/model/running.h"

/*
 * Keeps what the decision of the round that begins was made from, or of the one under way that
 * gives way: then @running is what it was at, and @yield what came of that. Else NULL.
 */
void recorder_keep(struct guard *guard, const struct member *const *members, size_t n_members,
		   const struct running *running, enum yield yield);

/* Has the text of a round of this group its memory. */
void recorder_make_ready(struct guard *guard);

/*
 * The last one that was kept, if it was @guard's: malloc'ed. -ENODATA: it was not, or there is
 * none; -EFBIG: there was no room for it.
 */
int recorder_last(struct guard *guard, char **ret);

/* What would be decided now, by fresh readings; begins nothing. malloc'ed text. */
int recorder_now(struct guard *guard, char **ret);
