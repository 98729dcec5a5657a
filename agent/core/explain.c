/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/explain.h"

#include "agent/core/beside.h"
#include "agent/core/choice.h"
#include "agent/core/guard.h"
#include "agent/core/history.h"
#include "agent/core/kernel-reclaim.h"
#include "agent/core/machine.h"
#include "agent/core/peer.h"
#include "agent/core/target.h"
#include "agent/policy/ladder.h"
#include "agent/policy/verdict.h"

static bool has_member_of(const struct guard *guard, uid_t uid)
{
	const struct peer *peer;

	SLIST_FOREACH(peer, &guard->peers, in_guard)
		if (peer->member.process.uid == uid)
			return true;

	return false;
}

/* What the daemon would have done next with these figures it does now: they are no secret. */
static void refresh(struct guard *guard)
{
	/* Its own answers are compared with what was read before them. */
	if (guard->round || guard->group.reading.time_usec == 0 || guard_read(guard) < 0)
		return;

	if (guard->signals.limit_hit ||
	    reading_taken_bytes(&guard->group.reading) >= guard_high_bytes(guard))
		guard_look_soon(guard, 0);
}

void explain_refresh(const char *what, const uid_t *uid, void *userdata)
{
	struct manager *manager = userdata;
	struct guard *guard;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		if (target_is_in(guard, what) && (!uid || has_member_of(guard, *uid)))
			refresh(guard);
}

void explain_diagnose(const struct group *group, const struct member *member,
		      struct diagnosis *ret, void *userdata)
{
	const struct manager *manager = userdata;

	if (member)
		verdict_member(group, member, &history_of(guard_of(group))->alerts,
			       manager_now(manager), ret);
	else
		beside_diagnose(guard_of(group), manager_now(manager), ret);
}

void explain_plan(const struct group *group, struct decision *ret, void *userdata)
{
	(void)userdata;
	*ret = (struct decision){ .reason = REASON_NONE };
	choice_plan(guard_of(group), ret);
}

void explain_steps(const struct group *group, struct rung ret[static STEP_MAX_], void *userdata)
{
	const uint64_t now_usec = manager_now(userdata);

	for (int i = 0; i < STEP_MAX_; i++)
		ret[i] = ladder_look(group, (enum step)i, now_usec);

	ret[STEP_RECLAIM] = kernel_reclaim_look(guard_of(group));
	ret[STEP_ALERT] = ladder_look_alert(group, &history_of(guard_of(group))->alerts, now_usec);
}

void explain_pressures(const struct group *group, struct pressures *ret, void *userdata)
{
	const struct cgroup *cgroup = &guard_of(group)->cgroup;
	struct psi_line some;

	*ret = (struct pressures){ PRESSURE_UNKNOWN, machine_some(userdata) };
	if (cgroup_is_open(cgroup) && cgroup_read_some(cgroup, &some) >= 0)
		ret->group_permyriad = some.avg10_permyriad;
}

bool explain_clash(const struct group *group, char *buf, size_t size, void *userdata)
{
	const struct manager *manager = userdata;

	return config_clash(manager->config, group->unit, group->path, buf, size);
}
