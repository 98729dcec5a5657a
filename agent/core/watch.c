/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/core/guard.h"

/* The kernel's window for triggers without privilege is a multiple of this. */
#define PRESSURE_WINDOW_USEC (2 * USEC_PER_SEC)

/* Growth does not reach a threshold farther than this between two looks. */
#define FAR_BYTES (10 * GIB)

/* A group at its limit reports an event per reclaim pass: look at most this often. */
#define EVENTS_HOLD_OFF_USEC (50 * USEC_PER_MSEC)

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
	uint64_t count;

	(void)source;
	(void)revents;
	/* Only to make it unreadable again; how often it was crossed does not matter. */
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_debug("Cannot read a usage threshold: %m; ignoring");

	guard_look(userdata);
	return 0;
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct guard *guard = userdata;

	(void)fd;
	(void)revents;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	guard_look_soon(guard, EVENTS_HOLD_OFF_USEC);
	return 0;
}

static int on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct guard *guard = userdata;
	int r;

	(void)source;
	(void)fd;

	r = psi_trigger_check(guard->psi, revents);
	if (r < 0) {
		/* The group is gone; its file would report that for ever. */
		guard->pressure_source = sd_event_source_disable_unref(guard->pressure_source);
		guard->psi = psi_trigger_close(guard->psi);
		guard->group.sources[SOURCE_GROUP] = r;
	}
	if (r > 0)
		guard->signals.pressure = true;
	if (r != 0)
		guard_look(guard);
	return 0;
}

void watch_disarm_threshold(struct guard *guard)
{
	guard->threshold_source = sd_event_source_disable_unref(guard->threshold_source);
	guard->threshold_fd = fd_close(guard->threshold_fd);
	guard->threshold_bytes = 0;
	guard->group.sources[SOURCE_THRESHOLD] = SOURCE_OFF;
}

/* A program that hovers around the threshold crosses it thousands of times a second. */
static void describe_threshold(struct guard *guard)
{
	(void)sd_event_source_set_description(guard->threshold_source, "usage-threshold");
	(void)sd_event_source_set_priority(guard->threshold_source, SD_EVENT_PRIORITY_IMPORTANT);
	(void)sd_event_source_set_ratelimit(guard->threshold_source, EVENTS_HOLD_OFF_USEC, 1);
}

/*
 * The kernel compares all usage, and what counts is what cannot be dropped: when the first
 * is above UsageHigh= and the second is not, the place is farther up. It moves with the page
 * cache then, and is followed as often as events are taken.
 */
static uint64_t threshold_of(const struct guard *guard)
{
	const struct group *group = &guard->group;
	const struct reading *reading = &group->reading;
	const uint64_t bytes = share_of(reading->limit_bytes, group->settings.usage_high_permyriad);

	if (reading->usage_bytes < bytes)
		return bytes;
	/* It has told already; or it has just been moved. */
	if (reading->anon_bytes >= bytes ||
	    reading->time_usec - guard->threshold_usec < EVENTS_HOLD_OFF_USEC)
		return guard->threshold_bytes > 0 ? guard->threshold_bytes : bytes;

	return bytes + (reading->usage_bytes - reading->anon_bytes);
}

/* v1 only: be woken when usage crosses UsageHigh=, whose place moves with the limit. */
void watch_arm_threshold(struct guard *guard)
{
	struct group *group = &guard->group;
	const uint64_t bytes = threshold_of(guard);
	int r;

	if (group->kind != GROUP_V1 || bytes == BYTES_INFINITY || bytes == guard->threshold_bytes)
		return;

	/* Of a group that is limited by the machine alone, looks notice it in time. */
	watch_disarm_threshold(guard);
	if (sub_sat(bytes, group->reading.usage_bytes) > FAR_BYTES)
		return;

	r = cgroup_arm_threshold(guard->cgroup, bytes);
	/* What the kernel refuses it refuses at each look: once per place is enough. */
	guard->threshold_bytes = bytes;
	if (r < 0) {
		group->sources[SOURCE_THRESHOLD] = r;
		log_debug("Cannot arm a usage threshold on \"%s\": %s; sampling instead",
			  group->path, strerror(-r));
		return;
	}

	guard->threshold_fd = r;
	guard->threshold_usec = group->reading.time_usec;
	r = sd_event_add_io(guard->manager->event, &guard->threshold_source, guard->threshold_fd,
			    EPOLLIN, on_threshold, guard);
	if (r < 0)
		watch_disarm_threshold(guard);
	else
		describe_threshold(guard);
	group->sources[SOURCE_THRESHOLD] = r < 0 ? r : SOURCE_ARMED;
}

void watch_disarm_level(struct guard *guard)
{
	guard->level_source = sd_event_source_disable_unref(guard->level_source);
	guard->level_fd = fd_close(guard->level_fd);
	guard->group.sources[SOURCE_LEVEL] = SOURCE_OFF;
}

void watch_arm_level(struct guard *guard)
{
	struct group *group = &guard->group;
	int r;

	if (group->kind != GROUP_V1 || group->settings.pressure_some_permyriad == 0) {
		watch_disarm_level(guard);
		return;
	}
	if (guard->level_fd >= 0)
		return;

	r = guard->level_fd = cgroup_arm_level(guard->cgroup);
	if (r >= 0)
		r = sd_event_add_io(guard->manager->event, &guard->level_source, guard->level_fd,
				    EPOLLIN, on_level, guard);
	if (r < 0) {
		log_debug("No pressure level of \"%s\": %s; usage alone decides", group->path,
			  strerror(-r));
		watch_disarm_level(guard);
		group->sources[SOURCE_LEVEL] = r;
		return;
	}

	group->sources[SOURCE_LEVEL] = SOURCE_ARMED;
	(void)sd_event_source_set_description(guard->level_source, "pressure-level");
	(void)sd_event_source_set_ratelimit(guard->level_source, LEVEL_HOLD_OFF_USEC, 1);
}

void watch_arm_pressure(struct guard *guard)
{
	const struct cgroup_root *root = &guard->manager->cgroup_root;
	const uint64_t stall_usec = share_of(PRESSURE_WINDOW_USEC,
					     guard->group.settings.pressure_some_permyriad);
	const int fd = root->kind == GROUP_V2 ? root->fd : root->unified_fd;
	char path[4096];
	int r;

	/* To close a trigger takes the kernel milliseconds: not for each group at each reload. */
	if (guard->psi && guard->psi_stall_usec == stall_usec)
		return;

	guard->pressure_source = sd_event_source_disable_unref(guard->pressure_source);
	guard->psi = psi_trigger_close(guard->psi);
	guard->psi_stall_usec = stall_usec;
	guard->group.sources[SOURCE_GROUP] = SOURCE_OFF;
	if (!guard->cgroup || stall_usec == 0)
		return;
	if (fd < 0) {
		/* v1 alone: no hierarchy has these files. */
		guard->group.sources[SOURCE_GROUP] = -ENOENT;
		return;
	}

	if (snprintf(path, sizeof(path), ".%s/memory.pressure", guard->group.path) >= (int)sizeof(path))
		return;

	r = psi_trigger_open(fd, path, stall_usec, &guard->psi);
	if (r >= 0)
		r = sd_event_add_io(guard->manager->event, &guard->pressure_source,
				    psi_trigger_fd(guard->psi), EPOLLPRI, on_pressure, guard);
	if (r < 0) {
		log_debug("No pressure trigger on \"%s\": %s; usage alone decides",
			  guard->group.path, strerror(-r));
		guard->psi = psi_trigger_close(guard->psi);
		guard->group.sources[SOURCE_GROUP] = r;
		return;
	}

	guard->group.sources[SOURCE_GROUP] = SOURCE_ARMED;

	(void)sd_event_source_set_description(guard->pressure_source, "pressure");
	(void)sd_event_source_set_priority(guard->pressure_source, SD_EVENT_PRIORITY_IMPORTANT);
	guard->manager->has_psi = true;
}

void watch_arm_events(struct guard *guard)
{
	int fd = guard->cgroup ? cgroup_events_fd(guard->cgroup) : -1;
	int r;

	if (guard->group.kind != GROUP_V2)
		return;

	r = fd < 0 ? -ENOENT : sd_event_add_io(guard->manager->event, &guard->events_source, fd,
					       EPOLLPRI, on_events, guard);
	guard->group.sources[SOURCE_EVENTS] = r < 0 ? r : SOURCE_ARMED;
	if (r < 0) {
		log_debug("Cannot watch memory.events of \"%s\": %s; sampling instead",
			  guard->group.path, strerror(-r));
	} else {
		(void)sd_event_source_set_description(guard->events_source, "memory-events");
		(void)sd_event_source_set_priority(guard->events_source, SD_EVENT_PRIORITY_IMPORTANT);
	}
}
