/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One group's files. Open all the time are its directory, its usage and, on v2, its
 * events; the rest is opened below the directory for each reading. An open file that was
 * read once holds 4.6 KiB of kernel memory, which is charged to us: kept open, the ten or
 * so files of each of thousands of groups would cost far more than the 5 us an open
 * takes.
 */

#include "agent/sense/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/sense/cgroup-events.h"
#include "agent/sense/cgroup-path.h"
#include "agent/sense/cgroup-stat.h"
#include "agent/sense/psi.h"

#define LEVEL_NONE UINT8_MAX
_Static_assert(CGROUP_DEPTH_MAX < LEVEL_NONE, "each level has a number");

/* With so much more room a limit still counts on: back-off would end with each change of it. */
#define STAY_PART 64

/* memory.stat is the largest, 3 KiB on Linux 6.18. */
#define TEXT_MAX 8192

/* Which can be named as bad; 0: none. */
static const char *const files[] = {
	NULL,
	"memory.current",
	"memory.usage_in_bytes",
	"memory.stat",
	"memory.max",
	"memory.limit_in_bytes",
	"memory.events",
	"memory.failcnt",
	"memory.oom_control",
	"memory.pressure",
};

/* The file may say something new, or nonsense: named, for whoever tells people. */
static int judge(struct cgroup *cgroup, const char *name, int r)
{
	if (r >= 0 || r == -ENODEV || r == -ENOENT)
		return r;

	for (uint8_t i = 1; i < ARRAY_SIZE(files); i++)
		if (streq(files[i], name))
			cgroup->bad_file = i;

	return r;
}

/* What a reading can do without is left at 0. */
static int judge_optional(struct cgroup *cgroup, const char *name, int r)
{
	r = judge(cgroup, name, r);
	return r == -EINVAL || r == -E2BIG ? 0 : r;
}

static const char *usage_name(enum group_kind kind)
{
	return kind == GROUP_V2 ? "memory.current" : "memory.usage_in_bytes";
}

void cgroup_close(struct cgroup *cgroup)
{
	cgroup->fd = fd_close(cgroup->fd);
	cgroup->usage_fd = fd_close(cgroup->usage_fd);
	cgroup->other_fd = fd_close(cgroup->other_fd);
}

static int open_other(const struct cgroup *cgroup, const struct cgroup_root *root,
		      const char *path)
{
	int fd;

	if (root->kind != GROUP_V2)
		return root->unified_fd < 0 ? -ENOENT : cgroup_path_open(root->unified_fd, path);

	fd = openat(cgroup->fd, "memory.events", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_files(struct cgroup *cgroup, const struct cgroup_root *root,
		      const char *path)
{
	int r;

	cgroup->fd = cgroup_path_open(root->fd, path);
	if (cgroup->fd < 0)
		return cgroup->fd;

	cgroup->usage_fd =
		openat(cgroup->fd, usage_name(root->kind), O_RDONLY | O_CLOEXEC);
	if (cgroup->usage_fd < 0)
		return cgroup_gone(-errno);

	/* Either may be missing, and is negative then; sampling and usage have to do. */
	r = cgroup->other_fd = open_other(cgroup, root, path);
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM ? r : 0;
}

/* To whoever asked for it; what is left has nothing to close. */
static void give(struct cgroup *cgroup, struct cgroup *ret)
{
	*ret = *cgroup;
	*cgroup = (struct cgroup)CGROUP_CLOSED;
}

int cgroup_open(const struct cgroup_root *root, const char *path, struct cgroup *ret)
{
	_cleanup_(cgroup_close) struct cgroup cgroup = CGROUP_CLOSED;
	int depth, r;

	depth = cgroup_path_depth(path);
	if (depth < 0)
		return depth;
	if (depth > CGROUP_DEPTH_MAX)
		return -E2BIG;

	cgroup.kind = root->kind;
	cgroup.depth = (uint8_t)depth;
	cgroup.limit_level = LEVEL_NONE;
	r = open_files(&cgroup, root, path);
	if (r < 0)
		return r;

	give(&cgroup, ret);
	return 0;
}

int cgroup_open_id(const struct cgroup_root *root, const char *path, uint64_t id,
		   struct cgroup *ret)
{
	_cleanup_(cgroup_close) struct cgroup cgroup = CGROUP_CLOSED;
	struct stat st;
	int r;

	r = cgroup_open(root, path, &cgroup);
	if (r < 0)
		return r;
	if (fstat(cgroup.fd, &st) < 0)
		return -errno;
	if (st.st_ino != id)
		return -ENODEV;

	give(&cgroup, ret);
	return 0;
}

int cgroup_events_fd(const struct cgroup *cgroup)
{
	return cgroup->kind == GROUP_V2 ? cgroup->other_fd : -1;
}

uint8_t cgroup_limit_level(const struct cgroup *cgroup)
{
	return cgroup->limit_level == LEVEL_NONE ? 0 : cgroup->limit_level;
}

bool cgroup_is_limited_above(const struct cgroup *cgroup)
{
	return cgroup->limited_above;
}

void cgroup_limits_watched(struct cgroup *cgroup)
{
	cgroup->is_watched = true;
}

void cgroup_limits_written(struct cgroup *cgroup)
{
	cgroup->has_looked = false;
}

const char *cgroup_bad_file(const struct cgroup *cgroup)
{
	return files[cgroup->bad_file];
}

int cgroup_read_usage(struct cgroup *cgroup, uint64_t *ret_bytes)
{
	char text[64];
	ssize_t n;

	n = fd_read_line_again(cgroup->usage_fd, text, sizeof(text));
	if (n < 0)
		return cgroup_gone((int)n);

	return cgroup_stat_parse_number(text, ret_bytes);
}

/* 0 when there is no such file: not every kernel and not every level has each of them. */
static int found(ssize_t n)
{
	if (n == -ENOENT)
		return 0;

	return n < 0 ? (int)n : 1;
}

static int read_optional(int dirfd, const char *name, char *buf, size_t size)
{
	return found(fd_read_file(dirfd, name, buf, size));
}

static int read_optional_line(int dirfd, const char *name, char *buf, size_t size)
{
	return found(fd_read_line_file(dirfd, name, buf, size));
}

const char *cgroup_limit_name(enum group_kind kind)
{
	return kind == GROUP_V2 ? "memory.max" : "memory.limit_in_bytes";
}

/*
 * Without any limit the machine is it: no group is charged more than the RAM there is. As of the
 * last time that anything was read in full: what hotplug and balloons change may wait.
 */
static uint64_t ram_bytes;

static void read_ram(void)
{
	struct sysinfo info;

	ram_bytes = sysinfo(&info) < 0 ? BYTES_INFINITY : (uint64_t)info.totalram * info.mem_unit;
}

/* Of all limits so far the one with the least room. */
struct limit {
	uint64_t bytes;
	uint64_t others_bytes;
	uint64_t room_bytes;
	uint8_t level;
};

static uint64_t room_of(const struct cgroup *cgroup, unsigned int level, uint64_t limit_bytes,
			uint64_t taken_bytes)
{
	const uint64_t room_bytes = sub_sat(limit_bytes, taken_bytes);

	return level == cgroup->limit_level ? sub_sat(room_bytes, limit_bytes / STAY_PART)
					    : room_bytes;
}

static void consider(const struct cgroup *cgroup, unsigned int level, uint64_t limit_bytes,
		     uint64_t anon_bytes, uint64_t others_bytes, struct limit *best)
{
	const uint64_t taken_bytes = add_sat(anon_bytes, others_bytes);
	const uint64_t room_bytes = room_of(cgroup, level, limit_bytes, taken_bytes);

	if (room_bytes < best->room_bytes)
		*best = (struct limit){ limit_bytes, others_bytes, room_bytes, (uint8_t)level };
}

static uint64_t anon_of(uint64_t usage_bytes, const struct cgroup_stat *stat)
{
	return sub_sat(usage_bytes, add_sat(stat->droppable_bytes, stat->held_bytes));
}

/*
 * What counts against a limit above, of which @end in @path is the directory's; 0 where it is not
 * known, or where even with all cache it is no more than @most_bytes.
 */
static int read_above(struct cgroup *cgroup, const char *path, char *end, uint64_t most_bytes,
		      uint64_t *ret_anon_bytes)
{
	struct cgroup_stat stat = { .droppable_bytes = UINT64_MAX };
	const char *name = usage_name(cgroup->kind);
	char text[TEXT_MAX];
	uint64_t usage_bytes = 0;
	int r;

	(void)stpcpy(end, name);
	r = read_optional_line(cgroup->fd, path, text, sizeof(text));
	if (r > 0)
		r = cgroup_stat_parse_number(text, &usage_bytes);

	if (r >= 0 && usage_bytes > most_bytes) {
		name = "memory.stat";
		(void)stpcpy(end, name);
		r = read_optional(cgroup->fd, path, text, sizeof(text));
		if (r > 0)
			r = cgroup_stat_parse(text, cgroup->kind, &stat);
	}
	/* The limit itself is known. */
	if (judge(cgroup, name, r) == -ENODEV)
		return r;

	*ret_anon_bytes = anon_of(usage_bytes, &stat);
	return 0;
}

static int read_limit(struct cgroup *cgroup, const char *path, uint64_t *ret_bytes)
{
	char text[64];
	int r;

	*ret_bytes = BYTES_INFINITY;
	r = read_optional_line(cgroup->fd, path, text, sizeof(text));
	if (r > 0)
		r = cgroup_stat_parse_limit(text, ret_bytes);

	return judge(cgroup, cgroup_limit_name(cgroup->kind), r) < 0 ? r : 0;
}

/* From the group up to the root of the hierarchy. The lowest of them is returned, too. */
static int read_limits(struct cgroup *cgroup, uint64_t anon_bytes, struct limit *best,
		       uint64_t *ret_lowest_bytes)
{
	const bool is_known = cgroup->kind == GROUP_V1 && cgroup->is_watched &&
			      cgroup->has_looked && !cgroup->limited_above;
	const unsigned int depth = is_known ? 0 : cgroup->depth;
	char path[CGROUP_DEPTH_MAX * 3 + 32] = "";
	uint64_t bytes, above_bytes, lowest_bytes = BYTES_INFINITY;
	bool limited_above = false;
	char *end = path;
	int r;

	for (unsigned int i = 0; i <= depth; i++, end = stpcpy(end, "../")) {
		(void)stpcpy(end, cgroup_limit_name(cgroup->kind));
		r = read_limit(cgroup, path, &bytes);
		if (r < 0)
			return r;
		if (bytes >= ram_bytes)
			continue;

		lowest_bytes = MIN(lowest_bytes, bytes);
		above_bytes = anon_bytes;
		if (i > 0) {
			limited_above = true;
			r = read_above(cgroup, path, end,
				       sub_sat(room_of(cgroup, i, bytes, 0), best->room_bytes),
				       &above_bytes);
			if (r < 0)
				return r;
		}
		consider(cgroup, i, bytes, anon_bytes, sub_sat(above_bytes, anon_bytes), best);
	}

	cgroup->limited_above = limited_above;
	cgroup->has_looked = true;
	*ret_lowest_bytes = lowest_bytes;
	return 0;
}

static int find_limit(struct cgroup *cgroup, uint64_t hierarchical_bytes,
		      struct reading *reading)
{
	struct limit best = {
		.bytes = ram_bytes,
		.room_bytes = sub_sat(ram_bytes, reading->anon_bytes),
	};
	uint64_t lowest_bytes;
	int r;

	r = read_limits(cgroup, reading->anon_bytes, &best, &lowest_bytes);
	if (r < 0)
		return r;

	/* v1 knows limits that we cannot see: of what others have there nobody tells. */
	if (hierarchical_bytes < MIN(lowest_bytes, ram_bytes))
		consider(cgroup, 0, hierarchical_bytes, reading->anon_bytes, 0, &best);

	reading->limit_bytes = best.bytes;
	reading->others_bytes = best.others_bytes;
	cgroup->limit_level = best.level;
	return 0;
}

static int read_own_stat(struct cgroup *cgroup, struct cgroup_stat *ret)
{
	char text[TEXT_MAX];
	ssize_t n;
	int r;

	n = fd_read_file(cgroup->fd, "memory.stat", text, sizeof(text));
	r = n < 0 ? (int)n : cgroup_stat_parse(text, cgroup->kind, ret);
	return judge(cgroup, "memory.stat", r);
}

static int read_stat(struct cgroup *cgroup, struct reading *reading)
{
	struct cgroup_stat stat;
	int r;

	r = read_own_stat(cgroup, &stat);
	if (r < 0)
		return r;

	reading->held_bytes = stat.held_bytes;
	reading->anon_bytes = anon_of(reading->usage_bytes, &stat);
	reading->n_faults = stat.n_faults;
	reading->n_collapses = stat.n_collapses;
	return find_limit(cgroup, stat.limit_bytes, reading);
}

static int read_failcnt(struct cgroup *cgroup, struct reading *reading)
{
	char text[256];
	int r;

	r = read_optional_line(cgroup->fd, "memory.failcnt", text, sizeof(text));
	if (r > 0)
		r = cgroup_stat_parse_number(text, &reading->n_max);

	return judge_optional(cgroup, "memory.failcnt", r);
}

static int read_kills(struct cgroup *cgroup, struct reading *reading)
{
	char text[256];
	int r;

	r = read_optional(cgroup->fd, "memory.oom_control", text, sizeof(text));
	if (r > 0)
		r = cgroup_stat_parse_oom_control(text, &reading->n_oom_kill);

	return judge_optional(cgroup, "memory.oom_control", r);
}

static int read_events(struct cgroup *cgroup, struct reading *reading)
{
	char text[512];
	uint64_t n_oom;
	ssize_t n;
	int r;

	if (cgroup->other_fd < 0)
		return 0;

	/* Through the descriptor that is polled: this read is what rearms it. */
	n = fd_read_again(cgroup->other_fd, text, sizeof(text));
	r = n < 0 ? (int)n :
		    cgroup_stat_parse_events(text, &reading->n_max, &n_oom, &reading->n_oom_kill);

	return judge_optional(cgroup, "memory.events", r);
}

static int read_above_events(struct cgroup *cgroup, uint8_t level, struct reading *reading)
{
	const char *name = NULL;
	int r;

	r = cgroup_events_read_above(cgroup->fd, cgroup->kind, level, &name, &reading->above);
	return judge_optional(cgroup, name, r);
}

static int read_pressure(struct cgroup *cgroup, struct reading *reading)
{
	const int fd = cgroup->kind == GROUP_V2 ? cgroup->fd : cgroup->other_fd;
	struct psi_line some;
	char text[256];
	int r;

	if (fd < 0)
		return 0;

	/*
	 * Built but disabled PSI fails only when read. A vanished directory beside v1
	 * says nothing about the group itself.
	 */
	r = read_optional(fd, "memory.pressure", text, sizeof(text));
	if (r == -EOPNOTSUPP || (r == -ENODEV && cgroup->kind != GROUP_V2))
		return 0;
	if (r > 0) {
		r = psi_parse(text, &some);
		if (r >= 0)
			reading->pressure_total_usec = some.total_usec;
	}

	return judge_optional(cgroup, "memory.pressure", r);
}

int cgroup_read_some(const struct cgroup *cgroup, struct psi_line *ret)
{
	const int fd = cgroup->kind == GROUP_V2 ? cgroup->fd : cgroup->other_fd;

	return fd < 0 ? -ENOENT : psi_read(fd, "memory.pressure", ret);
}

int cgroup_read_first(struct cgroup *cgroup, uint64_t now_usec, const struct reading *last,
		      struct reading *ret)
{
	struct reading reading = { .time_usec = now_usec };
	const uint8_t level = cgroup_limit_level(cgroup);
	int r;

	if (ram_bytes == 0)
		read_ram();

	cgroup->bad_file = 0;
	r = judge(cgroup, usage_name(cgroup->kind),
		  cgroup_read_usage(cgroup, &reading.usage_bytes));
	if (r >= 0)
		r = read_stat(cgroup, &reading);
	if (r >= 0)
		r = cgroup->kind == GROUP_V2 ? read_events(cgroup, &reading)
					     : read_failcnt(cgroup, &reading);
	/* A kill makes room there, and another limit counts from now on. */
	if (r >= 0)
		r = read_above_events(cgroup, level > 0 ? level : cgroup->limit_level, &reading);
	if (r < 0)
		return cgroup_gone(r);

	if (cgroup->kind != GROUP_V2)
		reading.n_oom_kill = last->n_oom_kill;
	reading.pressure_total_usec = last->pressure_total_usec;
	*ret = reading;
	return 0;
}

int cgroup_read_rest(struct cgroup *cgroup, struct reading *reading)
{
	struct reading rest = { 0 };
	int r = 0;

	read_ram();
	if (cgroup->kind != GROUP_V2)
		r = read_kills(cgroup, &rest);
	if (r >= 0)
		r = read_pressure(cgroup, &rest);
	if (r < 0)
		return cgroup_gone(r);

	if (cgroup->kind != GROUP_V2)
		reading->n_oom_kill = rest.n_oom_kill;
	reading->pressure_total_usec = rest.pressure_total_usec;
	return 0;
}

int cgroup_read(struct cgroup *cgroup, uint64_t now_usec, struct reading *ret)
{
	const struct reading none = { 0 };
	struct reading reading;
	int r;

	r = cgroup_read_first(cgroup, now_usec, &none, &reading);
	if (r >= 0)
		r = cgroup_read_rest(cgroup, &reading);
	if (r >= 0)
		*ret = reading;
	return r;
}
