/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/sense/cgroup-events.h"

#include <errno.h>
#include <string.h>

#include "agent/basic/fd.h"
#include "agent/sense/cgroup-path.h"
#include "agent/sense/cgroup-stat.h"

/* The way up, and the name of a file there. */
struct file {
	int fd;
	char path[CGROUP_DEPTH_MAX * 3 + 32];
	char *end;
	char text[512];
};

/* 0: there is none. */
static int read_file(struct file *file, const char *name)
{
	ssize_t n;

	(void)stpcpy(file->end, name);
	n = fd_read_file(file->fd, file->path, file->text, sizeof(file->text));
	if (n == -ENOENT)
		return 0;

	return n < 0 ? (int)n : 1;
}

static int read_v2(struct file *file, const char **ret_name, struct limit_events *events)
{
	uint64_t n_max, n_oom, n_oom_kill, n_local_kill;
	int r;

	*ret_name = "memory.events";
	r = read_file(file, *ret_name);
	/* The root of what we see may have none. */
	if (r <= 0)
		return r;
	r = cgroup_stat_parse_events(file->text, &n_max, &n_oom, &n_oom_kill);
	if (r < 0)
		return r;

	/* Without what those below did at limits of their own. */
	r = read_file(file, "memory.events.local");
	if (r > 0)
		r = cgroup_stat_parse_events(file->text, &n_max, &n_oom, &n_local_kill);
	if (r < 0)
		return r;

	*events = (struct limit_events){
		.n_max = (uint32_t)n_max,
		.n_oom = (uint32_t)n_oom,
		.n_oom_kill = (uint32_t)n_oom_kill,
	};
	return 0;
}

/* A kill in a group is counted there alone, so that each is this limit's or of one above. */
static int read_v1(struct file *file, const char **ret_name, struct limit_events *events)
{
	uint64_t n_max = 0, n_oom_kill = 0;
	int r;

	*ret_name = "memory.failcnt";
	r = read_file(file, *ret_name);
	if (r > 0)
		r = cgroup_stat_parse_number(file->text, &n_max);
	if (r < 0)
		return r;

	*ret_name = "memory.oom_control";
	r = read_file(file, *ret_name);
	if (r > 0)
		r = cgroup_stat_parse_oom_control(file->text, &n_oom_kill);
	if (r < 0)
		return r;

	*events = (struct limit_events){
		.n_max = (uint32_t)n_max,
		.n_oom = (uint32_t)n_oom_kill,
		.n_oom_kill = (uint32_t)n_oom_kill,
	};
	return 0;
}

int cgroup_events_read_above(int fd, enum group_kind kind, uint8_t level, const char **ret_name,
			     struct limit_events *ret)
{
	struct file file = { .fd = fd };
	struct limit_events events = { 0 };
	int r;

	*ret_name = NULL;
	if (level == 0 || level > CGROUP_DEPTH_MAX)
		return 0;

	file.end = file.path;
	for (uint8_t i = 0; i < level; i++)
		file.end = stpcpy(file.end, "../");

	r = kind == GROUP_V2 ? read_v2(&file, ret_name, &events)
			     : read_v1(&file, ret_name, &events);
	if (r < 0)
		return r;

	*ret = events;
	ret->level = level;
	return 0;
}
