/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/macro.h"
#include "agent/basic/parse.h"
#include "agent/sense/cgroup-stat.h"
#include "agent/sense/cgroup.h"

static int write_file(const char *directory, const char *file, const char *text)
{
	_cleanup_(fd_closep) int fd = -1;
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", directory, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	return fd_write_exact(fd, text, strlen(text));
}

static int set_limit(const char *directory, enum group_kind kind, uint64_t limit_bytes)
{
	const char *file = kind == GROUP_V2 ? "memory.max" : "memory.limit_in_bytes";
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, limit_bytes);
	return write_file(directory, file, text);
}

static int make_directory(const struct cgroup_root *root, char **ret)
{
	char *path = NULL, *directory = NULL;
	uint64_t id;
	int r;

	r = cgroup_of_pid(root, getpid(), &path, &id);
	if (r < 0)
		return r;

	r = asprintf(&directory, "%s%s/memguard-run-%d", root->path, streq(path, "/") ? "" : path,
		     (int)getpid());
	free(path);
	if (r < 0)
		return -ENOMEM;

	if (mkdir(directory, 0755) < 0 && errno != EEXIST) {
		r = -errno;
		free(directory);
		return r;
	}

	*ret = directory;
	return 0;
}

int sandbox_new(const char *cgroup_root, uint64_t limit_bytes, struct sandbox *ret)
{
	struct cgroup_root root;
	char *directory = NULL;
	int r;

	*ret = (struct sandbox){ .directory = NULL };
	r = cgroup_root_open(cgroup_root, &root);
	if (r < 0)
		return r;

	r = make_directory(&root, &directory);
	if (r >= 0) {
		r = set_limit(directory, root.kind, limit_bytes);
		if (r < 0)
			(void)rmdir(directory);
	}

	ret->kind = root.kind;
	ret->limit_bytes = limit_bytes;

	cgroup_root_close(&root);
	if (r < 0) {
		free(directory);
		return r;
	}

	ret->directory = directory;
	return 0;
}

int sandbox_enter(const struct sandbox *sandbox)
{
	return sandbox->directory ? write_file(sandbox->directory, "cgroup.procs", "0") : 0;
}

bool sandbox_has(const struct sandbox *sandbox, const char *path)
{
	const char *name, *found;
	size_t length;

	if (!sandbox->directory)
		return true;

	name = strrchr(sandbox->directory, '/');
	length = strlen(name);
	found = strstr(path, name);
	return found && (found[length] == '\0' || found[length] == '/');
}

/* "" where it is not there. */
static void read_file(const struct sandbox *sandbox, const char *file, char *buf, size_t size)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", sandbox->directory, file) >= (int)sizeof(path) ||
	    fd_read_file(AT_FDCWD, path, buf, size) < 0)
		buf[0] = '\0';
}

void sandbox_read(const struct sandbox *sandbox, struct sandbox_account *ret)
{
	const bool v2 = sandbox->kind == GROUP_V2;
	uint64_t n_max, n_oom;
	char text[1024];

	*ret = (struct sandbox_account){ 0 };
	if (!sandbox->directory)
		return;

	read_file(sandbox, v2 ? "memory.peak" : "memory.max_usage_in_bytes", text, sizeof(text));
	(void)parse_digits(text, &ret->peak_bytes);
	read_file(sandbox, v2 ? "memory.events" : "memory.oom_control", text, sizeof(text));
	if (v2)
		(void)cgroup_stat_parse_events(text, &n_max, &n_oom, &ret->n_oom_kill);
	else
		(void)cgroup_stat_parse_oom_control(text, &ret->n_oom_kill);
}

void sandbox_free(struct sandbox *sandbox)
{
	if (sandbox->directory)
		(void)rmdir(sandbox->directory);

	free(sandbox->directory);
	sandbox->directory = NULL;
}
