/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/kernel-reclaim.h"

#include <errno.h>
#include <string.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/core/exec.h"
#include "agent/core/guard.h"
#include "agent/core/history.h"
#include "agent/report/journal-reclaim.h"
#include "agent/report/journal-text.h"

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

static struct swap_out_end end_of(const struct guard *guard, const struct swap *swap)
{
	return (struct swap_out_end){
		.time_usec = manager_now(guard->manager),
		.usage_bytes = guard->group.reading.usage_bytes,
		.anon_bytes = guard->group.reading.anon_bytes,
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
	if (r == -EALREADY || r == -ENOTCONN || r == -ENODEV)
		log_debug("Not having the kernel reclaim in %s: %s", text_name_of(&guard->group),
			  strerror(-r));
	else
		log_warning("Cannot have the kernel reclaim in %s (MemoryReclaim=): %s%s",
			    text_name_of(&guard->group), strerror(-r),
			    r == -EACCES || r == -EPERM ? "; run memguardd as root, or with CAP_DAC_OVERRIDE"
							: "; it is tried again after CooldownSec=");
}

void kernel_reclaim_run(struct guard *guard)
{
	const struct swap swap = read_swap(guard);
	const uint64_t now_usec = manager_now(guard->manager);
	struct history *history;
	uint64_t bytes;
	int r;

	if (!ladder_look_reclaim(&guard->group, &swap, now_usec).due)
		return;

	bytes = ladder_reclaim_bytes(&guard->group, &swap);
	history = history_note(guard);
	steps_count(&history->steps, STEP_RECLAIM, now_usec);
	r = begin(guard, bytes);
	if (r < 0)
		tell_failure(guard, r);
	else
		history->reclaim = (struct swap_out){
			.asked_bytes = bytes, .before = end_of(guard, &swap) };
}

void kernel_reclaim_end(uint64_t group_id, int error, void *userdata)
{
	struct manager *manager = userdata;
	struct guard *guard = guard_find(manager, group_id);
	struct swap swap;

	if (!guard)
		return;

	/* Within a round its own readings are compared with each other. */
	if (!guard->round)
		(void)guard_read(guard);

	swap = read_swap(guard);
	history_note(guard)->reclaim.after = end_of(guard, &swap);
	history_note(guard)->reclaim.error = error;
	if (!manager->options.quiet_journal)
		journal_reclaim(&guard->group, &history_of(guard)->reclaim);
	guard_look_soon(guard, 0);
}
