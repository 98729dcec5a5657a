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

/*
 * The kernel keeps 16384 of them, and they are all taken at once: each user may write to the limits
 * of groups that are his, as often as he likes, and is not to keep us busy, or others waiting.
 */
#define EVENTS_PER_READ 256
#define READS_MAX 64

/* Beyond them nobody knows whose were lost: all groups are looked at, which is much work. */
#define LOST_USEC (5 * USEC_PER_SEC)

static struct sparse places = { .record_bytes = sizeof(struct watched) };

static struct watched_list *list_of(struct limits *limits, int wd)
{
	return &limits->watched[(unsigned int)wd % LIMITS_BUCKETS];
}

static struct watched *find(struct limits *limits, int wd)
{
	struct watched *watched;

	SLIST_FOREACH(watched, list_of(limits, wd), list)
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
	SLIST_INSERT_HEAD(list_of(limits, wd), watched, list);
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
		SLIST_REMOVE(list_of(limits, watched->wd), watched, watched, list);
		sparse_give(&places, watched, true);
	}
}

static bool is_written(const struct guard *guard)
{
	for (const struct watched *w = guard->watched; w; w = w->above)
		if (w->is_written)
			return true;

	return false;
}

/* @lost: what else was written nobody knows. */
static void look_at_written(struct manager *manager, bool lost)
{
	struct watched *watched;
	struct guard *guard;

	LIST_FOREACH(guard, &manager->guards, in_manager) {
		const bool written = is_written(guard);

		if (!written && !lost)
			continue;
		if (written)
			log_debug("A limit of \"%s\" was written", guard->group.path);
		if (cgroup_is_open(&guard->cgroup))
			cgroup_limits_written(&guard->cgroup);
		guard_look_soon(guard, written ? 0 : LOST_USEC);
	}

	for (size_t i = 0; i < LIMITS_BUCKETS; i++)
		SLIST_FOREACH(watched, &manager->limits.watched[i], list)
			watched->is_written = false;
}

/* Of watched files no event has a name behind it. False: some were lost. */
static bool take_events(struct limits *limits, const struct inotify_event *events, size_t n)
{
	struct watched *watched;
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		watched = events[i].mask & IN_MODIFY ? find(limits, events[i].wd) : NULL;
		if (watched)
			watched->is_written = true;
		if (events[i].mask & IN_Q_OVERFLOW)
			all = false;
	}

	return all;
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	static struct inotify_event events[EVENTS_PER_READ];
	struct manager *manager = userdata;
	bool lost = false;
	ssize_t n;

	(void)source;
	(void)revents;
	for (int i = 0; i < READS_MAX && (n = read(fd, events, sizeof(events))) > 0; i++)
		if (!take_events(&manager->limits, events, (size_t)n / sizeof(events[0])))
			lost = true;

	look_at_written(manager, lost);
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
	(void)sd_event_source_set_ratelimit(limits->source, HOLD_OFF_USEC, 1);
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
