/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Finds the hierarchy with the memory controller (v2, v1, hybrid, or a test's directory),
 * and which of its groups a process is in.
 */

#include "agent/sense/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/sense/cgroup-path.h"
#include "agent/sense/cgroup-stat.h"

#define DEFAULT_ROOT "/sys/fs/cgroup"

enum filesystem {
	FILESYSTEM_CGROUP1,
	FILESYSTEM_CGROUP2,
	FILESYSTEM_OTHER, /* tmpfs above v1 mounts; any directory in tests */
};

static int filesystem_of(int fd, enum filesystem *ret)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;

	switch ((unsigned long)fs.f_type) {
	case CGROUP_SUPER_MAGIC:
		*ret = FILESYSTEM_CGROUP1;
		return 0;
	case CGROUP2_SUPER_MAGIC:
		*ret = FILESYSTEM_CGROUP2;
		return 0;
	}

	*ret = FILESYSTEM_OTHER;
	return 0;
}

static bool has_file(int fd, const char *name)
{
	return faccessat(fd, name, F_OK, 0) == 0;
}

/* A v2 tree in which memory is mounted as v1 lists the other controllers only. */
static bool controls_memory(int fd)
{
	char text[1024];

	return fd_read_file(fd, "cgroup.controllers", text, sizeof(text)) >= 0 &&
	       cgroup_stat_has_controller(text, "memory");
}

/* Which kind of memory hierarchy @fd is; -ENOENT when it is none. */
static int kind_of(int fd, enum filesystem filesystem, enum group_kind *ret)
{
	const bool v1 = has_file(fd, "memory.usage_in_bytes");
	const bool v2 = has_file(fd, "memory.current") || controls_memory(fd);

	switch (filesystem) {
	case FILESYSTEM_CGROUP1:
		*ret = GROUP_V1;
		return v1 ? 0 : -ENOENT;
	case FILESYSTEM_CGROUP2:
		*ret = GROUP_V2;
		return v2 ? 0 : -ENOENT;
	case FILESYSTEM_OTHER:
		*ret = v2 ? GROUP_V2 : GROUP_V1;
		return v1 || v2 ? 0 : -ENOENT;
	}

	return -ENOENT;
}

/* The v2 mount that hybrid machines have beside v1: no memory controller, but PSI. */
static int open_unified(int fd)
{
	_cleanup_(fd_closep) int unified = -1;
	enum filesystem filesystem;

	unified = openat(fd, "../unified", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (unified < 0 || filesystem_of(unified, &filesystem) < 0)
		return -1;

	if (filesystem == FILESYSTEM_CGROUP1 || !has_file(unified, "cgroup.controllers"))
		return -1;

	return TAKE_FD(unified);
}

static void root_done(struct cgroup_root *root)
{
	cgroup_root_close(root);
}

static int open_at(const char *path, struct cgroup_root *ret)
{
	_cleanup_(root_done) struct cgroup_root root = { .fd = -1, .unified_fd = -1 };
	enum filesystem filesystem;
	int r;

	root.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root.fd < 0)
		return -errno;

	r = filesystem_of(root.fd, &filesystem);
	if (r < 0)
		return r;

	r = kind_of(root.fd, filesystem, &root.kind);
	if (r < 0)
		return r;

	root.path = strdup(path);
	if (!root.path)
		return -ENOMEM;

	/* A plain directory stands for the root of its hierarchy. */
	if (filesystem == FILESYSTEM_OTHER)
		root.prefix = strdup("");
	else
		r = cgroup_path_prefix(root.fd, path, &root.prefix);
	if (r < 0)
		return r;
	if (!root.prefix)
		return -ENOMEM;

	if (root.kind == GROUP_V1)
		root.unified_fd = open_unified(root.fd);

	*ret = root;
	root = (struct cgroup_root){ .fd = -1, .unified_fd = -1 };
	return 0;
}

static void string_freep(char **string)
{
	free(*string);
}

int cgroup_root_open(const char *path, struct cgroup_root *ret)
{
	_cleanup_(string_freep) char *below = NULL;
	int r;

	if (!path)
		path = DEFAULT_ROOT;

	r = open_at(path, ret);
	if (r != -ENOENT)
		return r;

	/* v1 and hybrid have one mount per controller below a tmpfs. */
	below = malloc(strlen(path) + sizeof("/memory"));
	if (!below)
		return -ENOMEM;
	(void)stpcpy(stpcpy(below, path), "/memory");

	return open_at(below, ret);
}

void cgroup_root_close(struct cgroup_root *root)
{
	root->fd = fd_close(root->fd);
	root->unified_fd = fd_close(root->unified_fd);
	free(root->path);
	free(root->prefix);
	root->path = root->prefix = NULL;
}

/* In one call where it is; so is one that cannot be opened: there is nothing more to find. */
static bool is_charged(const struct cgroup_root *root, const char *path)
{
	_cleanup_(fd_closep) int fd = -1;
	char file[CGROUP_PATH_MAX + sizeof("/memory.current")];

	(void)stpcpy(stpcpy(file, cgroup_path_relative(path)), "/memory.current");
	if (has_file(root->fd, file))
		return true;

	fd = cgroup_path_open(root->fd, path);
	return fd < 0 || has_file(fd, "memory.current");
}

/*
 * v2 groups without the memory controller are charged to the nearest ancestor that has
 * it. Cuts @path down to that one; the root is taken as it is.
 */
static void find_charged(const struct cgroup_root *root, char *path)
{
	while (root->kind == GROUP_V2 && !streq(path, "/") && !is_charged(root, path)) {
		char *slash = strrchr(path, '/');

		slash[slash == path] = '\0';
	}
}

static int id_of_path(const struct cgroup_root *root, const char *path, uint64_t *ret_id)
{
	struct stat st;

	if (fstatat(root->fd, cgroup_path_relative(path), &st, 0) < 0)
		return errno == ENOENT ? -ENODEV : -errno;

	*ret_id = st.st_ino;
	return 0;
}

/* The path in @root of what /proc/PID/cgroup says, down to the group that is charged. */
static int path_of_pid(const struct cgroup_root *root, pid_t pid,
		       char ret_path[static CGROUP_PATH_MAX])
{
	/* Mostly short: on the stack it would have to be there in full before it is needed. */
	static char text[4 * CGROUP_PATH_MAX];
	char name[64], path[CGROUP_PATH_MAX];
	const char *below;
	ssize_t n;
	int r;

	(void)snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	n = fd_read_file(-1, name, text, sizeof(text));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;

	/* The process may be in no group of this hierarchy at all, as with a fixture. */
	r = cgroup_path_parse(text, root->kind, path, sizeof(path));
	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;

	below = cgroup_path_below(path, root->prefix);
	if (!below)
		return -ENODEV;

	(void)strcpy(ret_path, below);
	find_charged(root, ret_path);
	return 0;
}

/* @ret_path: CGROUP_PATH_MAX. */
static int find_group(const struct cgroup_root *root, pid_t pid, char *ret_path,
		      uint64_t *ret_id)
{
	int r;

	/* 0 is what credentials say of a peer in a foreign PID namespace. */
	if (pid <= 0)
		return -ESRCH;

	r = path_of_pid(root, pid, ret_path);
	if (r < 0)
		return r;

	return id_of_path(root, ret_path, ret_id);
}

int cgroup_of_pid(const struct cgroup_root *root, pid_t pid, char **ret_path,
		  uint64_t *ret_id)
{
	char path[CGROUP_PATH_MAX], *copy;
	uint64_t id = 0;
	int r;

	r = find_group(root, pid, path, &id);
	if (r < 0)
		return r;

	copy = strdup(path);
	if (!copy)
		return -ENOMEM;

	*ret_path = copy;
	*ret_id = id;
	return 0;
}

int cgroup_id_of_pid(const struct cgroup_root *root, pid_t pid, uint64_t *ret_id)
{
	char path[CGROUP_PATH_MAX];

	return find_group(root, pid, path, ret_id);
}
