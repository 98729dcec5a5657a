/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/patience.h"

#include "agent/basic/macro.h"
#include "agent/core/manager.h"
#include "agent/core/round.h"

static void set_timer(struct manager *manager, uint64_t at_usec)
{
	if (manager->patience_usec != 0 && manager->patience_usec <= at_usec)
		return;

	manager->patience_usec = at_usec;
	(void)sd_event_source_set_time(manager->patience_source, at_usec);
	(void)sd_event_source_set_enabled(manager->patience_source, SD_EVENT_ONESHOT);
}

void patience_plan(struct guard *guard, uint64_t usec)
{
	struct manager *manager = guard->manager;
	const uint64_t at_usec = manager_now(manager) + usec;

	guard->round->patience_usec = at_usec;
	set_timer(manager, at_usec);
}

/* One round for each strike: afterwards the list may be another. */
static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *manager = userdata;
	const uint64_t now_usec = manager_now(manager);
	uint64_t next_usec = UINT64_MAX;
	struct guard *guard;

	(void)source;
	(void)usec;
	manager->patience_usec = 0;
	LIST_FOREACH(guard, &manager->rounds, history->in_rounds) {
		const uint64_t at_usec = guard->round->patience_usec;

		if (at_usec != 0 && at_usec <= now_usec) {
			set_timer(manager, now_usec);
			round_look_after(guard);
			return 0;
		}
		if (at_usec != 0)
			next_usec = MIN(next_usec, at_usec);
	}

	if (next_usec != UINT64_MAX)
		set_timer(manager, next_usec);
	return 0;
}

int patience_prepare(struct manager *manager)
{
	int r;

	r = sd_event_add_time(manager->event, &manager->patience_source, CLOCK_MONOTONIC, 0, 1,
			      on_patience, manager);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(manager->patience_source, "rounds");
	return sd_event_source_set_enabled(manager->patience_source, SD_EVENT_OFF);
}
