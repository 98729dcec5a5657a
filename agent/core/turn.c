/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/turn.h"

#include <unistd.h>

#include "agent/basic/macro.h"

static long n_max = 1;

void turn_prepare(void)
{
	n_max = MAX(sysconf(_SC_NPROCESSORS_ONLN) / 2, 1L);
}

bool turn_is_crowded(const struct guard *guard)
{
	const struct guard *other;
	long n = 0;

	LIST_FOREACH(other, &guard->manager->rounds, history->in_rounds)
		n += other != guard && reason_is_calm(other->round->reason);

	return n >= n_max;
}
