/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel says of a group: first what decisions are made from, the rest behind them. */

#include "agent/core/guard.h"

#include <errno.h>
#include <string.h>

#include "agent/basic/log.h"
#include "agent/core/history.h"
#include "agent/core/pace.h"
#include "agent/policy/shared.h"
#include "agent/policy/trend.h"

static int read_rss(struct guard *guard, struct reading *ret)
{
	const struct manager_command *command = &guard->manager->command;
	uint64_t rss_bytes = 0;
	struct peer *peer;
	int r;

	if (guard->has_leader) {
		r = command->rss(command->tree, command->pid, &rss_bytes);
		if (r < 0)
			return r;
	} else {
		SLIST_FOREACH(peer, &guard->peers, in_guard)
			rss_bytes += peer->member.process.rss_bytes;
	}

	*ret = (struct reading){
		.time_usec = manager_now(guard->manager),
		.usage_bytes = rss_bytes,
		.anon_bytes = rss_bytes,
		.limit_bytes = guard->has_leader ? command->limit_bytes : BYTES_INFINITY,
	};
	return 0;
}

/* Told once, and once more when it is another file. */
static void tell_bad_file(struct guard *guard, int r)
{
	const char *bad_file = cgroup_bad_file(&guard->cgroup);
	const char *told = history_of(guard)->bad_file;

	if (bad_file == told)
		return;

	if (bad_file && r < 0)
		log_warning("Cannot read \"%s\" of cgroup \"%s\": %s; nothing is done there until "
			    "it can be read",
			    bad_file, guard->group.path, strerror(-r));
	else if (bad_file)
		log_warning("Cannot make sense of \"%s\" of cgroup \"%s\"; going on without it",
			    bad_file, guard->group.path);
	else
		log_info("\"%s\" of cgroup \"%s\" can be read again", told, guard->group.path);

	history_note(guard)->bad_file = bad_file;
}

static void take(struct guard *guard, const struct reading *reading)
{
	const uint8_t level = cgroup_is_open(&guard->cgroup) ? cgroup_limit_level(&guard->cgroup) : 0;
	struct group *group = &guard->group;

	if (group->reading.time_usec > 0 && reading->n_max > group->reading.n_max)
		guard->signals.limit_hit = true;
	if (shared_step(group, reading))
		guard->signals.limit_hit = true;
	if (group->reading.time_usec == 0)
		group->first_oom_kill = reading->n_oom_kill;
	guard->usage_usec = reading->time_usec;
	/* Of two that are the same size, too. */
	if (level != group->limit_level || reading->limit_bytes != group->reading.limit_bytes)
		trend_move(&group->trend, &group->reading, reading);
	group->reading = *reading;
	guard->has_parted = false;
	group->limit_level = level;
	/* At its threshold it is not calm, and nobody asks by how much it may have grown. */
	if (reading_taken_bytes(reading) < guard_high_bytes(guard))
		guard->allocated_bytes = pace_allocated(guard->manager);
	group->peak_bytes = MAX(group->peak_bytes, reading->usage_bytes);
	group->peak_anon_kib = MAX(group->peak_anon_kib,
				   (uint32_t)MIN(reading->anon_bytes / KIB, UINT32_MAX));
	group->trend = trend_add(&group->trend, reading);
}

int guard_read(struct guard *guard)
{
	struct reading reading;
	int r;

	r = cgroup_is_open(&guard->cgroup)
		    ? cgroup_read(&guard->cgroup, manager_now(guard->manager), &reading)
		    : read_rss(guard, &reading);
	if (r != -ENODEV)
		tell_bad_file(guard, r);
	if (r >= 0)
		take(guard, &reading);
	return r;
}

int guard_read_first(struct guard *guard)
{
	const struct reading *last = &guard->group.reading;
	struct reading reading;
	int r;

	/* Of the first reading, and of the last ones, nothing may wait. */
	if (!cgroup_is_open(&guard->cgroup) || last->time_usec == 0 || guard->empty_since_usec != 0)
		return guard_read(guard);

	r = cgroup_read_first(&guard->cgroup, manager_now(guard->manager), last, &reading);
	if (r < 0 && r != -ENODEV)
		tell_bad_file(guard, r);
	if (r >= 0)
		take(guard, &reading);
	return r;
}

void guard_read_rest(struct guard *guard)
{
	int r;

	if (!cgroup_is_open(&guard->cgroup))
		return;

	r = cgroup_read_rest(&guard->cgroup, &guard->group.reading);
	if (r != -ENODEV)
		tell_bad_file(guard, 0);
}
