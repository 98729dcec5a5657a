/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/core/guard.h"
#include "agent/sense/cgroup-path.h"

/* Who writes it again and again is looked at ten times a second. */
#define HOLD_OFF_USEC (100 * USEC_PER_MSEC)

static struct sparse places = { .record_bytes = sizeof(struct watched) };

static struct watched *find(const struct limits *limits, int wd)
{
	struct watched *watched;

	SLIST_FOREACH(watched, &limits->watched, list)
		if (watched->wd == wd)
			return watched;

	return NULL;
}

/* The kernel gives a file that is watched already the same number. 1: it was. */
static int watch_file(struct limits *limits, const char *path, struct watched **ret)
{
	struct watched *watched;
	int wd;

	wd = inotify_add_watch(limits->fd, path, IN_MODIFY);
	if (wd < 0)
		return -errno;

	watched = find(limits, wd);
	if (watched) {
		watched->n_users++;
		*ret = watched;
		return 1;
	}

	watched = sparse_take(&places);
	if (!watched) {
		(void)inotify_rm_watch(limits->fd, wd);
		return -ENOMEM;
	}

	*watched = (struct watched){ .wd = wd, .n_users = 1 };
	SLIST_INSERT_HEAD(&limits->watched, watched, list);
	*ret = watched;
	return 0;
}

/* The kernel keeps a removed group's file for as long as it is watched. */
static void forget_file(struct limits *limits, struct watched *watched)
{
	struct watched *above;

	for (; watched && --watched->n_users == 0; watched = above) {
		above = watched->above;
		(void)inotify_rm_watch(limits->fd, watched->wd);
		SLIST_REMOVE(&limits->watched, watched, watched, list);
		sparse_give(&places, watched, true);
	}
}

static bool has_watch(const struct guard *guard, int wd)
{
	for (const struct watched *w = guard->watched; w; w = w->above)
		if (w->wd == wd)
			return true;

	return false;
}

/* @wd -1: any. */
static void look_at(struct manager *manager, int wd)
{
	struct guard *guard;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		if (wd < 0 || has_watch(guard, wd)) {
			log_debug("A limit of \"%s\" was written", guard->group.path);
			if (cgroup_is_open(&guard->cgroup))
				cgroup_limits_written(&guard->cgroup);
			guard_look_soon(guard, HOLD_OFF_USEC);
		}
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	static union {
		struct inotify_event event;
		char bytes[64 * sizeof(struct inotify_event)];
	} events;
	const struct inotify_event *event;
	const ssize_t n = read(fd, &events, sizeof(events));

	(void)source;
	(void)revents;
	/* Of watched files no event has a name behind it. */
	for (ssize_t at = 0; at + (ssize_t)sizeof(*event) <= n;
	     at += (ssize_t)(sizeof(*event) + event->len)) {
		event = (const struct inotify_event *)(events.bytes + at);
		if (event->mask & IN_Q_OVERFLOW)
			look_at(userdata, -1);
		else if (event->mask & IN_MODIFY)
			look_at(userdata, event->wd);
	}

	return 0;
}

void limits_start(struct manager *manager)
{
	struct limits *limits = &manager->limits;
	int r;

	r = limits->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r >= 0)
		r = sd_event_add_io(manager->event, &limits->source, limits->fd, EPOLLIN, on_event,
				    manager);
	else
		r = -errno;
	if (r < 0) {
		log_notice("Cannot watch for limits that are changed: %s; noticing them later, when "
			   "groups are read: see fs.inotify.max_user_instances", strerror(-r));
		limits->fd = fd_close(limits->fd);
		return;
	}

	(void)sd_event_source_set_description(limits->source, "limits");
}

void limits_stop(struct manager *manager)
{
	struct limits *limits = &manager->limits;

	limits->source = sd_event_source_disable_unref(limits->source);
	limits->fd = fd_close(limits->fd);
}

/* From @first on, which were all just added, to @end: what comes after them is known. */
static bool mark_whole(struct watched *first, const struct watched *end)
{
	for (; first != end; first = first->above)
		first->is_whole = true;

	return true;
}

/* False: not all of them can be. */
static bool watch_upward(struct guard *guard)
{
	struct manager *manager = guard->manager;
	const struct cgroup_root *root = &manager->cgroup_root;
	const char *name = cgroup_limit_name(root->kind);
	char directory[CGROUP_PATH_MAX], path[2 * CGROUP_PATH_MAX];
	struct watched **next = &guard->watched, **whole = next; /* none is missing from there on */
	bool all = true;
	char *slash;
	int r;

	if (manager->limits.fd < 0 ||
	    snprintf(directory, sizeof(directory), "%s", guard->group.path) >= (int)sizeof(directory))
		return false;

	/* From the group upward, each once; the root of v2 has none. */
	if (streq(directory, "/"))
		directory[0] = '\0';
	for (;;) {
		if (snprintf(path, sizeof(path), "%s%s/%s", root->path, directory, name) >= (int)sizeof(path))
			return false;
		r = watch_file(&manager->limits, path, next);
		if (r < 0 && r != -ENOENT) {
			log_debug("Cannot watch \"%s\": %s; changes of it are noticed when the group "
				  "is read", path, strerror(-r));
			all = false;
			whole = next;
		}
		/* What was watched before has those above it that could be. */
		if (r > 0)
			return (*next)->is_whole && mark_whole(*whole, *next) && all;
		if (r == 0)
			next = &(*next)->above;
		slash = strrchr(directory, '/');
		if (!slash)
			return mark_whole(*whole, NULL) && all;
		*slash = '\0';
	}
}

void limits_watch(struct guard *guard)
{
	if (watch_upward(guard))
		cgroup_limits_watched(&guard->cgroup);
}

void limits_forget(struct guard *guard)
{
	forget_file(&guard->manager->limits, guard->watched);
	guard->watched = NULL;
}
