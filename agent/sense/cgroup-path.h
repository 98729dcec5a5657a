/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names of cgroups: as /proc/PID/cgroup gives them, as /proc/self/mountinfo shows them
 * mounted, and as we call them (below our root, "/" first).
 */

#include <errno.h>
#include <stddef.h>

#include "agent/basic/macro.h"
#include "agent/model/group.h"

#define CGROUP_PATH_MAX 4096

/* As deep as levels are counted; systemd and Kubernetes together nest some ten. */
#define CGROUP_DEPTH_MAX 254

/*
 * The line of the memory controller's hierarchy in a /proc/PID/cgroup text: with GROUP_V1
 * the one that lists "memory", with GROUP_V2 the "0::" one. -ENOENT when there is none.
 */
int cgroup_path_parse(const char *text, enum group_kind kind, char *ret_path,
		      size_t size);

/*
 * @path as seen from the directory that /proc/PID/cgroup calls @prefix ("" is the root):
 * a pointer into @path, or "/". NULL when it is not at or below it. "/.." in front means
 * outside of our cgroup namespace.
 */
const char *cgroup_path_below(const char *path, const char *prefix);

/*
 * Number of components, or -EINVAL: does not begin with "/", or has "." or ".." in it,
 * which would lead out of the root.
 */
int cgroup_path_depth(const char *path);

struct cgroup_mount {
	int id;
	char root[CGROUP_PATH_MAX];  /* which part of the hierarchy is mounted */
	char point[CGROUP_PATH_MAX]; /* where */
};

/* One line of mountinfo, octal escapes undone. */
int cgroup_path_parse_mount(const char *line, struct cgroup_mount *ret);

/*
 * How /proc/PID/cgroup calls the open directory @fd, which is @path: "" for the root of a
 * hierarchy, "/docker/..." for a bind mount of a part of it. malloc'ed.
 */
int cgroup_path_prefix(int fd, const char *path, char **ret_prefix);

/* A removed group's open files give ENODEV, names below its directory ENOENT: one for both. */
static inline int cgroup_gone(int r)
{
	return r == -ENOENT ? -ENODEV : r;
}

/* @path without the slashes in front, "." for the root: for openat() and its like. */
const char *cgroup_path_relative(const char *path);

/* The directory @path below @dirfd, good for openat() and fstat() only; -ENODEV: none. */
int cgroup_path_open(int dirfd, const char *path);
