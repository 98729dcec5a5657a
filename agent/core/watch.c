/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/basic/clock.h"
#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/core/guard.h"
#include "agent/core/machine.h"
#include "agent/policy/trend.h"

/* The kernel's window for triggers without privilege is a multiple of this. */
#define PRESSURE_WINDOW_USEC (2 * USEC_PER_SEC)

/* Growth does not reach a threshold farther than this between two looks. */
#define FAR_BYTES (10 * GIB)

/* So many times as long as the kernel took to arm a threshold, none is armed. */
#define ARM_PART 10

/* A group at its limit reports an event per reclaim pass: look at most this often. */
#define EVENTS_HOLD_OFF_USEC (50 * USEC_PER_MSEC)

#define EVENTS_ONCE (EPOLLPRI | EPOLLONESHOT)

/* Reclaim reports its level with every few pages. */
#define LEVEL_HOLD_OFF_USEC (500 * USEC_PER_MSEC)

static int on_level(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct guard *guard = userdata;
	uint64_t count;

	(void)source;
	(void)revents;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_debug("Cannot read a pressure level: %m; ignoring");

	guard->signals.pressure = true;
	guard_look(guard);
	return 0;
}

static int on_threshold(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct guard *guard = userdata;
	uint64_t count;

	(void)source;
	(void)revents;
	/* Only to make it unreadable again; how often it was crossed does not matter. */
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_debug("Cannot read a usage threshold: %m; ignoring");

	guard->signals.crossed = true;
	guard_look(guard);
	return 0;
}

/* At once after a rest; the next look arms it again. */
static void on_events(struct rope *rope, uint32_t revents)
{
	struct guard *guard = container_of(rope, struct guard, events_rope);
	const uint64_t again_usec = guard->group.reading.time_usec + EVENTS_HOLD_OFF_USEC;

	(void)revents;
	guard->events_came = true;
	guard_look_soon(guard, sub_sat(again_usec, manager_now(guard->manager)));
}

void watch_disarm_pressure(struct guard *guard)
{
	if (psi_trigger_is_open(&guard->psi))
		bell_unwatch(&guard->manager->bell, guard->psi.fd);
	psi_trigger_close(&guard->psi);
	guard->group.sources[SOURCE_GROUP] = SOURCE_OFF;
}

static void on_pressure(struct rope *rope, uint32_t revents)
{
	struct guard *guard = container_of(rope, struct guard, pressure_rope);
	int r;

	r = psi_trigger_check(&guard->psi, revents);
	if (r < 0) {
		/* The group is gone; its file would report that for ever. */
		watch_disarm_pressure(guard);
		guard->group.sources[SOURCE_GROUP] = r;
	}
	if (r > 0)
		guard->signals.pressure = true;
	if (r != 0)
		guard_look(guard);
}

const bell_ring_t watch_rings[RING_MAX_] = {
	[RING_EVENTS] = on_events,
	[RING_PRESSURE] = on_pressure,
	[RING_MACHINE] = machine_on_pressure,
};

int watch_prepare(struct guard *guard)
{
	if (guard->group.kind != GROUP_V1)
		return 0;

	guard->tripwires = malloc(sizeof(*guard->tripwires));
	if (!guard->tripwires)
		return -ENOMEM;

	*guard->tripwires = (struct tripwires){ .level_fd = -1, .threshold_fd = -1 };
	return 0;
}

static void disarm_threshold(struct guard *guard)
{
	struct tripwires *wires = guard->tripwires;

	wires->threshold_source = sd_event_source_disable_unref(wires->threshold_source);
	wires->threshold_fd = fd_close(wires->threshold_fd);
	wires->threshold_bytes = 0;
	guard->group.sources[SOURCE_THRESHOLD] = SOURCE_OFF;
}

/* A program that hovers around the threshold crosses it thousands of times a second. */
static void describe_threshold(sd_event_source *source)
{
	(void)sd_event_source_set_description(source, "usage-threshold");
	(void)sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
	(void)sd_event_source_set_ratelimit(source, EVENTS_HOLD_OFF_USEC, 1);
}

/*
 * To arm one waits for all who read the old ones: 5 to 40 ms in which nothing else is done.
 * Of our time at most this part; a group is sampled until its turn comes.
 */
static int arm_threshold(struct guard *guard, uint64_t bytes)
{
	struct manager *manager = guard->manager;
	const uint64_t began_usec = clock_now_usec();
	const int fd = cgroup_arm_threshold(&guard->cgroup, bytes);
	const uint64_t end_usec = clock_now_usec();

	manager->arm_usec = end_usec + ARM_PART * sub_sat(end_usec, began_usec);
	return fd;
}

/* v1 only: be woken when usage crosses UsageHigh=, whose place moves with the limit and the cache. */
void watch_arm_threshold(struct guard *guard)
{
	struct tripwires *wires = guard->tripwires;
	struct group *group = &guard->group;
	const uint64_t bytes = trend_wake_bytes(group);
	int r;

	/* Its end is looked at again; meanwhile the place moves with all that it gives. */
	if (guard->round)
		return;
	if (!wires || bytes == BYTES_INFINITY || bytes == wires->threshold_bytes ||
	    (wires->threshold_fd >= 0 && trend_is_in_place(group, wires->threshold_bytes)))
		return;

	/* Of a group that is limited by the machine alone, looks notice it in time. */
	if (sub_sat(bytes, group->reading.usage_bytes) > FAR_BYTES) {
		disarm_threshold(guard);
		return;
	}
	if (clock_now_usec() < guard->manager->arm_usec)
		return;

	disarm_threshold(guard);
	r = arm_threshold(guard, bytes);
	/* What the kernel refuses it refuses at each look: once per place is enough. */
	wires->threshold_bytes = bytes;
	if (r < 0) {
		group->sources[SOURCE_THRESHOLD] = r;
		log_debug("Cannot arm a usage threshold on \"%s\": %s; sampling instead",
			  group->path, strerror(-r));
		return;
	}

	wires->threshold_fd = r;
	r = sd_event_add_io(guard->manager->event, &wires->threshold_source, wires->threshold_fd,
			    EPOLLIN, on_threshold, guard);
	if (r < 0)
		disarm_threshold(guard);
	else
		describe_threshold(wires->threshold_source);
	group->sources[SOURCE_THRESHOLD] = r < 0 ? r : SOURCE_ARMED;
}

bool watch_is_awaited(const struct guard *guard)
{
	const struct tripwires *wires = guard->tripwires;

	return wires && wires->threshold_fd >= 0 &&
	       trend_is_awaited(&guard->group, wires->threshold_bytes);
}

static void disarm_level(struct guard *guard)
{
	struct tripwires *wires = guard->tripwires;

	wires->level_source = sd_event_source_disable_unref(wires->level_source);
	wires->level_fd = fd_close(wires->level_fd);
	guard->group.sources[SOURCE_LEVEL] = SOURCE_OFF;
}

void watch_arm_level(struct guard *guard)
{
	struct tripwires *wires = guard->tripwires;
	struct group *group = &guard->group;
	int r;

	if (!wires)
		return;
	if (group->settings->pressure_some_permyriad == 0) {
		disarm_level(guard);
		return;
	}
	if (wires->level_fd >= 0)
		return;

	r = wires->level_fd = cgroup_arm_level(&guard->cgroup);
	if (r >= 0)
		r = sd_event_add_io(guard->manager->event, &wires->level_source, wires->level_fd,
				    EPOLLIN, on_level, guard);
	if (r < 0) {
		log_debug("No pressure level of \"%s\": %s; usage alone decides", group->path,
			  strerror(-r));
		disarm_level(guard);
		group->sources[SOURCE_LEVEL] = r;
		return;
	}

	group->sources[SOURCE_LEVEL] = SOURCE_ARMED;
	(void)sd_event_source_set_description(wires->level_source, "pressure-level");
	(void)sd_event_source_set_ratelimit(wires->level_source, LEVEL_HOLD_OFF_USEC, 1);
}

void watch_end(struct guard *guard)
{
	if (!guard->tripwires)
		return;

	disarm_threshold(guard);
	disarm_level(guard);
	free(guard->tripwires);
	guard->tripwires = NULL;
}

void watch_arm_pressure(struct guard *guard)
{
	const struct cgroup_root *root = &guard->manager->cgroup_root;
	const uint64_t stall_usec = share_of(PRESSURE_WINDOW_USEC,
					     guard->group.settings->pressure_some_permyriad);
	const int fd = root->kind == GROUP_V2 ? root->fd : root->unified_fd;
	char path[4096];
	int r;

	/* To close a trigger takes the kernel milliseconds: not for each group at each reload. */
	if (psi_trigger_is_open(&guard->psi) && guard->psi.stall_usec == stall_usec)
		return;

	watch_disarm_pressure(guard);
	if (!cgroup_is_open(&guard->cgroup) || stall_usec == 0)
		return;
	if (fd < 0) {
		/* v1 alone: no hierarchy has these files. */
		guard->group.sources[SOURCE_GROUP] = -ENOENT;
		return;
	}

	if (snprintf(path, sizeof(path), ".%s/memory.pressure", guard->group.path) >= (int)sizeof(path))
		return;

	r = psi_trigger_open(fd, path, stall_usec, &guard->psi);
	guard->pressure_rope.ring = RING_PRESSURE;
	if (r >= 0)
		r = bell_watch(&guard->manager->bell, guard->psi.fd, EPOLLPRI,
			       &guard->pressure_rope);
	if (r < 0) {
		log_debug("No pressure trigger on \"%s\": %s; usage alone decides",
			  guard->group.path, strerror(-r));
		psi_trigger_close(&guard->psi);
		guard->group.sources[SOURCE_GROUP] = r;
		return;
	}

	guard->group.sources[SOURCE_GROUP] = SOURCE_ARMED;
	guard->manager->has_psi = true;
}

void watch_arm_events(struct guard *guard)
{
	const int fd = cgroup_events_fd(&guard->cgroup);
	int r;

	if (guard->group.kind != GROUP_V2)
		return;

	guard->events_rope.ring = RING_EVENTS;
	r = fd < 0 ? -ENOENT
		   : bell_watch(&guard->manager->bell, fd, EVENTS_ONCE, &guard->events_rope);
	guard->group.sources[SOURCE_EVENTS] = r < 0 ? r : SOURCE_ARMED;
	if (r < 0)
		log_debug("Cannot watch memory.events of \"%s\": %s; sampling instead",
			  guard->group.path, strerror(-r));
}

void watch_await_events(struct guard *guard)
{
	if (!guard->events_came)
		return;

	guard->events_came = false;
	(void)bell_again(&guard->manager->bell, cgroup_events_fd(&guard->cgroup), EVENTS_ONCE,
			 &guard->events_rope);
}

void watch_disarm_events(struct guard *guard)
{
	if (guard->group.sources[SOURCE_EVENTS] == SOURCE_ARMED)
		bell_unwatch(&guard->manager->bell, cgroup_events_fd(&guard->cgroup));
	guard->group.sources[SOURCE_EVENTS] = SOURCE_OFF;
}
