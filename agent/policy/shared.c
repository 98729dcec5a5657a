/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/policy/shared.h"

bool shared_step(struct group *group, const struct reading *next)
{
	const struct limit_events *before = &group->reading.above, *after = &next->above;
	const uint64_t own = sub_sat(next->n_oom_kill, group->reading.n_oom_kill);
	struct shared *shared = &group->shared;
	const uint32_t kills = after->n_oom_kill - before->n_oom_kill;

	if (after->level == 0)
		return false;

	/* The first figures of it. */
	if (before->level != after->level) {
		shared->n_oom = after->n_oom;
		return false;
	}

	/* The two counts are not read at the same moment. */
	if (kills > 0 && after->n_oom != shared->n_oom) {
		shared->n_kills += (uint32_t)sub_sat(kills, own);
		shared->n_oom = after->n_oom;
		group->shared_level = after->level;
	}

	return after->n_max != before->n_max;
}
