/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/turn.h"

#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/basic/owner.h"

/* Who takes longer is very large, or slow, or pretends to be at work. */
#define TURN_USEC (5 * USEC_PER_SEC)

static long n_max = 1;

void turn_prepare(void)
{
	n_max = MAX(sysconf(_SC_NPROCESSORS_ONLN) / 2, 1L);
}

static uid_t owner_of_group(const struct guard *guard)
{
	const struct peer *peer = SLIST_FIRST(&guard->peers);

	return peer ? owner_of(peer->member.process.uid) : 0;
}

/* A turn ends; but a user's for his other groups not before it is over, or he could have all turns. */
static bool has_turn(const struct guard *other, const struct guard *guard)
{
	const struct round *round = other->round;
	const uid_t owner = owner_of_group(other);

	return reason_is_calm(round->reason) &&
	       (manager_now(guard->manager) - round->outcome.begin_usec < TURN_USEC ||
		(owner != 0 && owner == owner_of_group(guard)));
}

bool turn_is_crowded(const struct guard *guard)
{
	const struct guard *other;
	long n = 0;

	LIST_FOREACH(other, &guard->manager->rounds, history->in_rounds)
		n += other != guard && has_turn(other, guard);

	return n >= n_max;
}
