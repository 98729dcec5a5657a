/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a group is charged for, by kind, with the groups below it. Several files and a directory:
 * only for who asks.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/sense/cgroup-stat.h"
#include "agent/sense/cgroup.h"

/* As in cgroup.c. */
#define TEXT_MAX 8192

/*
 * Whoever a group belongs to makes as many processes and groups in it as he likes, and may ask. To
 * read of a group below takes some 50 us, in which nobody else is served: so many tell of all.
 */
#define PROCESSES_MAX 16384
#define CHILDREN_MAX 256

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* How many lines; where there are more than anybody has members, some of them. */
static int count_processes(const struct cgroup *cgroup, uint32_t *ret)
{
	_cleanup_(fd_closep) int fd =
		openat(cgroup->fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096];
	uint32_t count = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;

	while (count < PROCESSES_MAX && (n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			count += text[i] == '\n';
	if (n < 0)
		return -errno;

	*ret = count;
	return 0;
}

/* What the group "name" below has; one that was just removed has nothing. */
static uint64_t anon_of_child(const struct cgroup *cgroup, const char *name)
{
	struct cgroup_kinds kinds = { 0 };
	char path[NAME_MAX + 32], text[TEXT_MAX];

	(void)snprintf(path, sizeof(path), "%s/memory.stat", name);
	if (fd_read_file(cgroup->fd, path, text, sizeof(text)) < 0 ||
	    cgroup_stat_parse_kinds(text, cgroup->kind, &kinds) < 0)
		return 0;

	return kinds.anon_bytes;
}

/* Of @n groups, if @n_read had so much. */
static uint64_t extrapolate(uint64_t bytes, uint64_t n_read, uint64_t n)
{
	uint64_t all_bytes;

	if (n <= n_read || __builtin_mul_overflow(bytes / n_read, n, &all_bytes))
		return bytes;

	return all_bytes;
}

static int read_children(const struct cgroup *cgroup, uint64_t *ret_anon_bytes)
{
	_cleanup_(fd_closep) int fd =
		openat(cgroup->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;
	uint64_t anon_bytes = 0, n_read = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;

	TAKE_FD(fd);
	while (n_read < CHILDREN_MAX && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
			anon_bytes = add_sat(anon_bytes, anon_of_child(cgroup, entry->d_name));
			n_read++;
		}

	/* A directory has a link from each below it, and two besides. */
	if (n_read == CHILDREN_MAX)
		anon_bytes = extrapolate(anon_bytes, n_read, sub_sat(st.st_nlink, 2));
	*ret_anon_bytes = anon_bytes;
	return 0;
}

int cgroup_read_beside(const struct cgroup *cgroup, struct beside *ret)
{
	struct cgroup_stat stat;
	struct cgroup_kinds kinds;
	struct beside beside = { 0 };
	char line[64], text[TEXT_MAX];
	uint64_t usage_bytes;
	ssize_t n;
	int r;

	n = fd_read_line_again(cgroup->usage_fd, line, sizeof(line));
	if (n < 0)
		return (int)n;
	n = fd_read_file(cgroup->fd, "memory.stat", text, sizeof(text));
	if (n < 0)
		return (int)n;

	r = cgroup_stat_parse_number(line, &usage_bytes);
	if (r >= 0)
		r = cgroup_stat_parse(text, cgroup->kind, &stat);
	if (r >= 0)
		r = cgroup_stat_parse_kinds(text, cgroup->kind, &kinds);
	if (r >= 0)
		r = count_processes(cgroup, &beside.n_processes);
	if (r >= 0)
		r = read_children(cgroup, &beside.below_bytes);
	if (r < 0)
		return r;

	beside.charged_bytes =
		sub_sat(usage_bytes, add_sat(stat.droppable_bytes, stat.held_bytes));
	beside.anon_bytes = kinds.anon_bytes;
	beside.shmem_bytes = kinds.shmem_bytes;
	beside.locked_bytes =
		sub_sat(kinds.file_bytes, add_sat(add_sat(kinds.shmem_bytes, kinds.listed_bytes),
						  kinds.swapcached_bytes));
	/* What is neither a program's nor of files. Of slabs v2 tells what can be dropped. */
	beside.kernel_bytes =
		sub_sat(sub_sat(usage_bytes, add_sat(kinds.anon_bytes, kinds.file_bytes)),
			add_sat(stat.held_bytes,
				sub_sat(stat.droppable_bytes, kinds.listed_bytes)));
	*ret = beside;
	return 0;
}
