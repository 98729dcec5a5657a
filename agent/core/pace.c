/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A heap of guards by the time of their next look. */

#include "agent/core/pace.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/basic/fd.h"
#include "agent/core/guard.h"
#include "agent/core/state.h"
#include "agent/sense/vmstat.h"

/*
 * Kernel events and answers of hooks have their turn in between. To begin another turn costs more
 * than to see that a calm group is still, so that more of these fit into one.
 */
#define TURN_COST 128
#define LOOK_COST 8  /* all files of a group, and its processes */
#define STILL_COST 1 /* its usage, or nothing */

#define GRID_FIRST_USEC (16 * USEC_PER_MSEC)
#define GRID_LAST_USEC (5 * USEC_PER_SEC)

static void place(struct pace *pace, size_t i, struct guard *guard)
{
	pace->heap[i] = guard;
	guard->pace_index = (uint32_t)i;
}

static void sift_up(struct pace *pace, size_t i, struct guard *guard)
{
	while (i > 0 && pace->heap[(i - 1) / 2]->look_usec > guard->look_usec) {
		place(pace, i, pace->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}

	place(pace, i, guard);
}

static void sift_down(struct pace *pace, size_t i, struct guard *guard)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < pace->n && pace->heap[child + 1]->look_usec < pace->heap[child]->look_usec)
			child++;
		if (child >= pace->n || pace->heap[child]->look_usec >= guard->look_usec)
			break;
		place(pace, i, pace->heap[child]);
		i = child;
	}

	place(pace, i, guard);
}

static void set_timer(struct pace *pace, uint64_t at_usec)
{
	if (pace->timer_usec != 0 && pace->timer_usec <= at_usec)
		return;

	pace->timer_usec = at_usec;
	(void)sd_event_source_set_time(pace->timer, at_usec);
	(void)sd_event_source_set_enabled(pace->timer, SD_EVENT_ONESHOT);
}

/* Looks that were moved or cancelled have left the timer where it was: nothing is due then. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *manager = userdata;
	struct pace *pace = &manager->pace;
	const uint64_t now_usec = manager_now(manager);
	int cost = 0;

	(void)source;
	(void)usec;
	pace->timer_usec = 0;
	while (cost < TURN_COST && pace->n > 0 && pace->heap[0]->look_usec <= now_usec) {
		struct guard *guard = pace->heap[0];

		pace_cancel(guard);
		cost += guard_sample(guard) ? LOOK_COST : STILL_COST;
	}

	if (pace->n > 0)
		set_timer(pace, pace->heap[0]->look_usec);
	return 0;
}

int pace_start(struct manager *manager)
{
	struct pace *pace = &manager->pace;
	int r;

	pace->vmstat_fd = vmstat_open();
	r = sd_event_add_time(manager->event, &pace->timer, CLOCK_MONOTONIC, 0, 1, on_timer, manager);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(pace->timer, "looks");
	return sd_event_source_set_enabled(pace->timer, SD_EVENT_OFF);
}

void pace_stop(struct manager *manager)
{
	struct pace *pace = &manager->pace;

	pace->timer = sd_event_source_disable_unref(pace->timer);
	pace->vmstat_fd = fd_close(pace->vmstat_fd);
	free(pace->heap);
	pace->heap = NULL;
}

int pace_reserve(struct manager *manager)
{
	struct pace *pace = &manager->pace;
	const size_t n_max = pace->n_max * 2 + 16;
	struct guard **heap;

	if (manager->n_guards < pace->n_max)
		return 0;

	heap = reallocarray(pace->heap, n_max, sizeof(*heap));
	if (!heap)
		return -ENOMEM;

	pace->heap = heap;
	pace->n_max = n_max;
	return 0;
}

void pace_plan(struct guard *guard, uint64_t at_usec)
{
	struct pace *pace = &guard->manager->pace;

	pace_cancel(guard);
	guard->look_usec = MAX(at_usec, 1);
	sift_up(pace, pace->n++, guard);
	set_timer(pace, guard->look_usec);
}

void pace_cancel(struct guard *guard)
{
	struct pace *pace = &guard->manager->pace;
	struct guard *last;

	if (guard->look_usec == 0)
		return;

	guard->look_usec = 0;
	last = pace->heap[--pace->n];
	if (last == guard)
		return;

	/* Into the hole, and from there to where it belongs. */
	if (guard->pace_index > 0 &&
	    pace->heap[(guard->pace_index - 1) / 2]->look_usec > last->look_usec)
		sift_up(pace, guard->pace_index, last);
	else
		sift_down(pace, guard->pace_index, last);
}

uint64_t pace_round(uint64_t now_usec, uint64_t in_usec)
{
	uint64_t grid_usec = GRID_LAST_USEC;

	/* 16 ms, 32 ms, ... 4.096 s, 5 s: the largest that is not above. */
	if (in_usec < grid_usec)
		for (grid_usec = GRID_FIRST_USEC; grid_usec * 2 <= in_usec; grid_usec *= 2)
			;
	if (in_usec < grid_usec)
		return now_usec + in_usec;

	return (now_usec + in_usec) / grid_usec * grid_usec;
}

uint64_t pace_allocated(struct manager *manager)
{
	struct pace *pace = &manager->pace;
	const uint64_t now_usec = manager_now(manager);

	if (pace->vmstat_fd < 0)
		return BYTES_INFINITY;
	if (pace->allocated_usec == now_usec)
		return pace->allocated_bytes;

	if (vmstat_read_allocated(pace->vmstat_fd, &pace->allocated_bytes) < 0)
		pace->allocated_bytes = BYTES_INFINITY;
	pace->allocated_usec = now_usec;
	return pace->allocated_bytes;
}
