/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a group may still swap out, and the file by which the kernel is asked to do so: cgroup v2
 * alone. Only for groups of whom somebody wants it (MemoryReclaim=), near their limit.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "agent/basic/clock.h"
#include "agent/basic/fd.h"
#include "agent/sense/cgroup-path.h"
#include "agent/sense/cgroup-stat.h"
#include "agent/sense/cgroup.h"

#define RECLAIM_FILE "memory.reclaim"

/* So often we look at the time. Who removes the group meanwhile waits for the end of one. */
#define SLICE_BYTES (4 * MIB)

static uint64_t machine_room(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? 0 : (uint64_t)info.freeswap * info.mem_unit;
}

/* A kernel without swap, and the root of what we see, have none of these: @value is left. */
static int read_value(const struct cgroup *cgroup, const char *path, uint64_t *value)
{
	char text[64];
	ssize_t n;

	n = fd_read_line_file(cgroup->fd, path, text, sizeof(text));
	if (n < 0)
		return n == -ENOENT ? 0 : (int)n;

	return cgroup_stat_parse_limit(text, value);
}

/* @end: of the way up in @path, to which the names are added. */
static int read_level(const struct cgroup *cgroup, const char *path, char *end, uint64_t *ret_used_bytes,
		      uint64_t *ret_limit_bytes)
{
	int r;

	*ret_used_bytes = 0;
	*ret_limit_bytes = BYTES_INFINITY;
	(void)stpcpy(end, "memory.swap.max");
	r = read_value(cgroup, path, ret_limit_bytes);
	if (r < 0)
		return r;

	(void)stpcpy(end, "memory.swap.current");
	return read_value(cgroup, path, ret_used_bytes);
}

int cgroup_read_swap(const struct cgroup *cgroup, struct swap *ret)
{
	char path[CGROUP_DEPTH_MAX * 3 + 32] = "";
	struct swap swap = { .room_bytes = machine_room() };
	uint64_t used_bytes, limit_bytes;
	char *end = path;
	int r;

	if (cgroup->kind != GROUP_V2) {
		*ret = (struct swap){ 0 };
		return 0;
	}

	for (unsigned int i = 0; i <= cgroup->depth; i++, end = stpcpy(end, "../")) {
		r = read_level(cgroup, path, end, &used_bytes, &limit_bytes);
		if (r < 0)
			return r;
		if (i == 0)
			swap.used_bytes = used_bytes;
		if (limit_bytes != BYTES_INFINITY)
			swap.room_bytes = MIN(swap.room_bytes, sub_sat(limit_bytes, used_bytes));
	}

	swap.has_reclaim = faccessat(cgroup->fd, RECLAIM_FILE, F_OK, 0) == 0;
	*ret = swap;
	return 0;
}

int cgroup_open_reclaim(const struct cgroup *cgroup)
{
	int fd;

	if (cgroup->kind != GROUP_V2)
		return -EOPNOTSUPP;

	fd = openat(cgroup->fd, RECLAIM_FILE, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * How a kernel is told to leave file cache alone, from Linux 6.16 on, and to prefer the other, from
 * 6.11 on (commit 68cd9050d871); before that it takes what it likes.
 */
static const char *const words[] = { " swappiness=max", " swappiness=200", "" };

/* *@word: the first of them that may be understood. */
static int write_slice(int fd, uint64_t bytes, size_t *word)
{
	char text[64];
	int n;

	for (;; (*word)++) {
		n = snprintf(text, sizeof(text), "%" PRIu64 "%s", bytes, words[*word]);
		if (write(fd, text, (size_t)n) >= 0)
			return 0;
		if (errno != EINVAL || *word == ARRAY_SIZE(words) - 1)
			return -errno;
	}
}

int cgroup_reclaim(int fd, uint64_t bytes, uint64_t until_usec)
{
	size_t word = 0;
	int r;

	while (bytes > 0) {
		const uint64_t slice_bytes = MIN(bytes, SLICE_BYTES);

		if (clock_now_usec() >= until_usec)
			return -ETIME;

		r = write_slice(fd, slice_bytes, &word);
		if (r < 0)
			return r;
		bytes -= slice_bytes;
	}

	return 0;
}
