/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What most of a group's memory is, where it is not malloc's. */

#include "agent/core/beside.h"

#include "agent/core/guard.h"
#include "agent/core/history.h"
#include "agent/core/peer.h"
#include "agent/policy/verdict.h"

static void survey_peers(const struct guard *guard, uint64_t now_usec)
{
	struct peer *peer;

	SLIST_FOREACH(peer, &guard->peers, in_guard)
		peer_survey(peer, now_usec);
}

void beside_diagnose(const struct guard *guard, uint64_t now_usec, struct diagnosis *ret)
{
	struct beside beside;
	struct sums sums;

	guard_diagnose(guard, now_usec, ret);
	/* What came since may be of a member that has ended, or shared memory: no malloc's. */
	if (ret->verdict != VERDICT_NOT_MALLOC &&
	    !(ret->verdict == VERDICT_UNKNOWN && guard->group.heap.time_usec > 0))
		return;
	if (guard->group.n_members == 0 || !cgroup_is_open(&guard->cgroup))
		return;

	/* What is compared with the charge must not be older. */
	survey_peers(guard, now_usec);
	if (cgroup_read_beside(&guard->cgroup, &beside) < 0)
		return;

	guard_sum(guard, &sums);
	sums.beside = &beside;
	verdict_group(&guard->group, &sums, &history_of(guard)->alerts, now_usec, ret);
}
