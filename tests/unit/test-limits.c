/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* core/limits: which group is told of all limits above it, on a kernel with too few watches. */

#include "agent/core/limits.h"

#include <errno.h>
#include <string.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/core/pace.h"
#include "tests/unit/test.h"

static const char *refused = ""; /* the group whose file has no watch left */
static const char *files[16];    /* by the number of its watch; NULL: none */

/* Instead of the kernel's. */
int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	static char paths[ARRAY_SIZE(files)][64];

	(void)fd;
	(void)mask;
	if (*refused && strncmp(path, refused, strlen(refused)) == 0 &&
	    streq(path + strlen(refused), "/memory.max")) {
		errno = ENOSPC;
		return -1;
	}
	for (int i = 0; i < (int)ARRAY_SIZE(files); i++) {
		if (files[i] && !streq(files[i], path))
			continue;
		(void)snprintf(paths[i], sizeof(paths[i]), "%s", path);
		files[i] = paths[i];
		return i;
	}

	errno = ENOSPC;
	return -1;
}

static int events[2]; /* a pipe: what comes in there is read from the first */

int inotify_init1(int flags)
{
	(void)flags;
	return pipe2(events, O_NONBLOCK | O_CLOEXEC) < 0 ? -1 : events[0];
}

int inotify_rm_watch(int fd, int wd)
{
	(void)fd;
	files[wd] = NULL;
	return 0;
}

static size_t n_files(void)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		n += files[i] != NULL;

	return n;
}

static char root_path[] = "/m";
static struct manager manager = { .cgroup_root = { .kind = GROUP_V2, .path = root_path } };

static struct guard guard_at(const char *path)
{
	return (struct guard){ .manager = &manager, .group.path = (char *)path };
}

static void test_all_above_a_group_are_watched_once(void)
{
	struct guard a = guard_at("/pod/a"), b = guard_at("/pod/b"), pod = guard_at("/pod");

	limits_watch(&a);
	limits_watch(&b);
	limits_watch(&pod);
	CHECK(a.cgroup.is_watched && b.cgroup.is_watched && pod.cgroup.is_watched);
	CHECK_EQ(n_files(), 4);
	limits_forget(&a);
	limits_forget(&b);
	CHECK_EQ(n_files(), 2);
	limits_forget(&pod);
	CHECK_EQ(n_files(), 0);
}

/* The one above them has no watch, which those below its child cannot see. */
static void test_what_is_missing_above_another_is_missing_for_both(void)
{
	struct guard a = guard_at("/top/pod/a"), b = guard_at("/top/pod/b");
	struct guard pod = guard_at("/top/pod"), deep = guard_at("/top/pod/b/c/d");
	struct guard beside = guard_at("/top/other"), other = guard_at("/free/one");

	refused = "/m/top";
	limits_watch(&a);
	CHECK(!a.cgroup.is_watched);
	/* There are watches again. */
	refused = "";
	limits_watch(&b);
	CHECK(!b.cgroup.is_watched);
	limits_watch(&pod);
	CHECK(!pod.cgroup.is_watched);
	limits_watch(&deep);
	CHECK(!deep.cgroup.is_watched);

	/* Who is not below that one has all. */
	limits_watch(&beside);
	limits_watch(&other);
	CHECK(beside.cgroup.is_watched && other.cgroup.is_watched);
	limits_forget(&beside);
	limits_forget(&other);
	limits_forget(&deep);
	limits_forget(&pod);
	limits_forget(&b);
	limits_forget(&a);
	CHECK_EQ(n_files(), 0);

	/* They all went, and with them what was missing. */
	b = guard_at("/top/pod/b");
	limits_watch(&b);
	CHECK(b.cgroup.is_watched);
	limits_forget(&b);
}

static void test_what_is_missing_below_is_missing_for_nobody_else(void)
{
	struct guard a = guard_at("/pod/a"), b = guard_at("/pod/b"), below = guard_at("/pod/a/x");

	refused = "/m/pod/a";
	limits_watch(&a);
	limits_watch(&b);
	limits_watch(&below);
	CHECK(!a.cgroup.is_watched && !below.cgroup.is_watched);
	CHECK(b.cgroup.is_watched);
	refused = "";
	limits_forget(&a);
	limits_forget(&b);
	limits_forget(&below);
	CHECK_EQ(n_files(), 0);
}

static void tell(int wd, uint32_t mask)
{
	const struct inotify_event event = { .wd = wd, .mask = mask };

	CHECK_EQ(write(events[1], &event, sizeof(event)), sizeof(event));
}

static int n_waiting(void)
{
	int n = -1;

	CHECK(ioctl(events[0], FIONREAD, &n) == 0);
	return n;
}

static void begin_events(struct guard guards[static 2])
{
	CHECK(sd_event_new(&manager.event) >= 0);
	(void)sd_event_run(manager.event, 0);
	CHECK(pace_start(&manager) >= 0 && pace_reserve(&manager) >= 0);
	limits_start(&manager);
	guards[0] = guard_at("/mine/a");
	guards[1] = guard_at("/theirs");
	for (int i = 0; i < 2; i++) {
		limits_watch(&guards[i]);
		LIST_INSERT_HEAD(&manager.guards, &guards[i], in_manager);
	}
}

static void end_events(struct guard guards[static 2])
{
	for (int i = 0; i < 2; i++) {
		limits_forget(&guards[i]);
		LIST_REMOVE(&guards[i], in_manager);
	}
	limits_stop(&manager);
	pace_stop(&manager);
	manager.pace = (struct pace){ 0 };
	close(events[1]);
	manager.event = sd_event_unref(manager.event);
}

/* The numbers of two files that are above the first one. */
static void tell_many(const struct guard *guard, int n)
{
	for (int i = 0; i < n; i++)
		tell((i % 2 ? guard->watched : guard->watched->above)->wd, IN_MODIFY);
}

static void test_who_writes_without_end_is_looked_at_once_in_a_while(void)
{
	struct guard guards[2];
	uint64_t interval_usec;
	unsigned int burst;

	begin_events(guards);
	tell_many(&guards[0], 3000);
	CHECK(sd_event_run(manager.event, UINT64_MAX) > 0);
	CHECK_EQ(n_waiting(), 0);
	CHECK(guards[0].look_usec > 0);
	CHECK_EQ(guards[1].look_usec, 0);
	CHECK(sd_event_source_get_ratelimit(manager.limits.source, &interval_usec, &burst) >= 0);
	CHECK(burst == 1 && interval_usec >= 50 * USEC_PER_MSEC);
	end_events(guards);
}

/* He can make the kernel lose what others have written, and is not to have all looked at at once. */
static void test_what_was_lost_is_made_up_for_later(void)
{
	struct guard guards[2];

	begin_events(guards);
	tell_many(&guards[0], 2);
	tell(-1, IN_Q_OVERFLOW);
	CHECK(sd_event_run(manager.event, UINT64_MAX) > 0);
	CHECK(guards[0].look_usec > 0);
	CHECK(guards[1].look_usec >= guards[0].look_usec + USEC_PER_SEC);
	end_events(guards);

	/* The next event is one of somebody else. */
	begin_events(guards);
	tell(guards[1].watched->wd, IN_MODIFY);
	CHECK(sd_event_run(manager.event, UINT64_MAX) > 0);
	CHECK(guards[0].look_usec == 0 && guards[1].look_usec > 0);
	end_events(guards);
}

int main(void)
{
	RUN(test_all_above_a_group_are_watched_once);
	RUN(test_what_is_missing_above_another_is_missing_for_both);
	RUN(test_what_is_missing_below_is_missing_for_nobody_else);
	RUN(test_who_writes_without_end_is_looked_at_once_in_a_while);
	RUN(test_what_was_lost_is_made_up_for_later);

	return TEST_RESULT();
}
