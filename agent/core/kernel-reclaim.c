/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/kernel-reclaim.h"

#include <errno.h>
#include <string.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/core/exec.h"
#include "agent/core/guard.h"
#include "agent/core/helper.h"
#include "agent/core/history.h"
#include "agent/report/journal-reclaim.h"
#include "agent/report/journal-text.h"

bool kernel_reclaim_is_under_way(const struct guard *guard)
{
	const struct swap_out *reclaim = &history_of(guard)->reclaim;

	return reclaim->asked_bytes > 0 && reclaim->after.time_usec == 0;
}

bool kernel_reclaim_holds(const struct guard *guard)
{
	return kernel_reclaim_is_under_way(guard) &&
	       sub_sat(manager_now(guard->manager), history_of(guard)->reclaim.before.time_usec) <
		       HELPER_RECLAIM_END_USEC;
}

/* What cannot be read is told with the group's other files; here there is no swap then. */
static struct swap read_swap(const struct guard *guard)
{
	struct swap swap = { 0 };

	if (guard->group.settings->reclaim_bytes > 0 && cgroup_is_open(&guard->cgroup))
		(void)cgroup_read_swap(&guard->cgroup, &swap);

	return swap;
}

struct rung kernel_reclaim_look(const struct guard *guard)
{
	const struct swap swap = read_swap(guard);

	return ladder_look_reclaim(&guard->group, &swap, manager_now(guard->manager));
}

static struct swap_out_end end_of(const struct reading *reading, const struct swap *swap)
{
	return (struct swap_out_end){
		.time_usec = reading->time_usec,
		.usage_bytes = reading->usage_bytes,
		.anon_bytes = reading->anon_bytes,
		.swap_bytes = swap->used_bytes,
	};
}

static int begin(struct guard *guard, uint64_t bytes)
{
	_cleanup_(fd_closep) int fd = cgroup_open_reclaim(&guard->cgroup);

	if (fd < 0)
		return fd;

	return exec_reclaim(guard->manager->exec, guard->group.id, text_name_of(&guard->group), fd, bytes);
}

static void tell_failure(const struct guard *guard, int r)
{
	/* There are enough of them, the helper was told to be missing, the group is gone. */
	if (r == -EBUSY || r == -EALREADY || r == -ENOTCONN || r == -ENODEV || r == -ENOENT)
		log_debug("Not having the kernel reclaim in %s: %s", text_name_of(&guard->group),
			  strerror(-r));
	else
		log_warning("Cannot have the kernel reclaim in %s (MemoryReclaim=): %s%s",
			    text_name_of(&guard->group), strerror(-r),
			    r == -EACCES || r == -EPERM ? "; run memguardd as root, or with CAP_DAC_OVERRIDE"
							: "; it is tried again after CooldownSec=");
}

/* As far as is known without the files about swap, which are some for each group above it. */
static bool may_be_due(const struct guard *guard, uint64_t now_usec)
{
	const struct swap any = { .has_reclaim = true, .room_bytes = BYTES_INFINITY };
	const uint64_t failed_usec = history_of(guard)->reclaim_failed_usec;

	if (kernel_reclaim_is_under_way(guard) ||
	    (failed_usec > 0 && now_usec - failed_usec < guard->group.settings->cooldown_usec))
		return false;

	return ladder_look_reclaim(&guard->group, &any, now_usec).due;
}

void kernel_reclaim_run(struct guard *guard)
{
	const uint64_t now_usec = manager_now(guard->manager);
	struct history *history;
	struct swap swap;
	uint64_t bytes;
	int r;

	if (!may_be_due(guard, now_usec))
		return;

	swap = read_swap(guard);
	if (!ladder_look_reclaim(&guard->group, &swap, now_usec).due)
		return;

	history = history_note(guard);
	bytes = ladder_reclaim_bytes(&guard->group, &swap);
	r = begin(guard, bytes);
	if (r < 0) {
		tell_failure(guard, r);
		history->reclaim_failed_usec = now_usec;
		return;
	}

	steps_count(&history->steps, STEP_RECLAIM, now_usec);
	history->reclaim = (struct swap_out){
		.asked_bytes = bytes, .before = end_of(&guard->group.reading, &swap) };
	history->reclaim.before.time_usec = now_usec;
}

/* A reading of its own: a round compares its answers with what was read before them. */
static int read_end(struct guard *guard, struct swap_out_end *ret)
{
	struct reading reading;
	struct swap swap;
	int r;

	r = cgroup_read(&guard->cgroup, manager_now(guard->manager), &reading);
	if (r >= 0)
		r = cgroup_read_swap(&guard->cgroup, &swap);
	if (r < 0)
		return r;

	*ret = end_of(&reading, &swap);
	return 0;
}

void kernel_reclaim_end(uint64_t group_id, int error, void *userdata)
{
	struct manager *manager = userdata;
	struct guard *guard = guard_find(manager, group_id);
	struct swap_out *reclaim;
	int r;

	/* It may have gone, and come back, meanwhile. */
	if (!guard || !kernel_reclaim_is_under_way(guard))
		return;

	reclaim = &history_note(guard)->reclaim;
	reclaim->error = error;
	r = read_end(guard, &reclaim->after);
	guard_look_soon(guard, 0);
	if (r < 0) {
		log_debug("Cannot read what the kernel has reclaimed in %s: %s",
			  text_name_of(&guard->group), strerror(-r));
		*reclaim = (struct swap_out){ 0 };
		return;
	}

	if (!manager->options.quiet_journal)
		journal_reclaim(&guard->group, reclaim);
}
