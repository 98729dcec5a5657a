/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names of cgroups, and their translation between namespaces, mounts and our root. */

#include "agent/sense/cgroup-path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/fd.h"

/* Is "memory" one of the comma-separated controllers of this length? */
static bool has_memory(const char *controllers, size_t length)
{
	const char *end = controllers + length;
	size_t word;

	for (; controllers < end; controllers += word + 1) {
		word = strcspn(controllers, ",:");
		if (word == strlen("memory") && memcmp(controllers, "memory", word) == 0)
			return true;
	}

	return false;
}

/* The path in a line "ID:CONTROLLERS:PATH" if it is the wanted hierarchy's. */
static const char *path_of_line(const char *line, const char *end, enum group_kind kind)
{
	const char *controllers = memchr(line, ':', (size_t)(end - line));
	const char *path;
	bool wanted = false;

	if (!controllers)
		return NULL;

	/* The path may contain colons itself: only the first two divide. */
	controllers++;
	path = memchr(controllers, ':', (size_t)(end - controllers));
	if (!path)
		return NULL;

	switch (kind) {
	case GROUP_V1:
		wanted = has_memory(controllers, (size_t)(path - controllers));
		break;
	case GROUP_V2:
		wanted = path == controllers && strncmp(line, "0:", 2) == 0;
		break;
	case GROUP_RSS:
		break;
	}

	return wanted ? path + 1 : NULL;
}

int cgroup_path_parse(const char *text, enum group_kind kind, char *ret_path, size_t size)
{
	const char *line, *end, *path;
	size_t length;

	for (line = text; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		path = path_of_line(line, end, kind);
		if (!path)
			continue;
		if (*path != '/')
			return -EINVAL;

		length = (size_t)(end - path);
		if (length >= size)
			return -E2BIG;

		memcpy(ret_path, path, length);
		ret_path[length] = '\0';
		return 0;
	}

	return -ENOENT;
}

const char *cgroup_path_below(const char *path, const char *prefix)
{
	const size_t length = strlen(prefix);

	if (strncmp(path, prefix, length) != 0)
		return NULL;

	path += length;
	if (!*path)
		return "/";
	if (*path != '/')
		return NULL;

	return cgroup_path_depth(path) >= 0 ? path : NULL;
}

int cgroup_path_depth(const char *path)
{
	int depth = 0;
	size_t length;

	if (*path != '/')
		return -EINVAL;

	for (;; path += length) {
		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			return depth;
		if (path[0] == '.' && (length == 1 || (length == 2 && path[1] == '.')))
			return -EINVAL;
		depth++;
	}
}

/* mountinfo writes blank, tab, newline, backslash as "\ooo". Returns what is consumed. */
static size_t unescape(const char *s, char *ret)
{
	for (size_t i = 1; i <= 3; i++)
		if (s[0] != '\\' || s[i] < '0' || s[i] > '7') {
			*ret = s[0];
			return 1;
		}

	*ret = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
	return 4;
}

/* One blank-terminated field; NULL when it does not fit or nothing follows it. */
static const char *copy_field(const char *s, char *ret, size_t size)
{
	size_t length = 0;

	while (*s && *s != ' ' && *s != '\n') {
		if (length + 1 >= size)
			return NULL;
		s += unescape(s, &ret[length++]);
	}

	ret[length] = '\0';
	return *s == ' ' ? s + 1 : NULL;
}

int cgroup_path_parse_mount(const char *line, struct cgroup_mount *ret)
{
	int id, end = -1;

	/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS ... */
	if (sscanf(line, "%9d %*9d %*9u:%*9u %n", &id, &end) != 1 || end < 0)
		return -EINVAL;

	line = copy_field(line + end, ret->root, sizeof(ret->root));
	if (!line || ret->root[0] != '/')
		return -EINVAL;

	if (!copy_field(line, ret->point, sizeof(ret->point)) || ret->point[0] != '/')
		return -EINVAL;

	ret->id = id;
	return 0;
}

/* The mount an open file lies on. */
static int mount_id_of_fd(int fd)
{
	char path[64], text[512];
	const char *line;
	ssize_t n;
	int id;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	n = fd_read_file(-1, path, text, sizeof(text));
	if (n < 0)
		return (int)n;

	line = strstr(text, "mnt_id:");
	if (!line || sscanf(line, "mnt_id: %9d", &id) != 1)
		return -EINVAL;

	return id;
}

static void file_closep(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static void string_freep(char **string)
{
	free(*string);
}

static void mount_freep(struct cgroup_mount **mount)
{
	free(*mount);
}

static int find_mount(int id, struct cgroup_mount *ret)
{
	_cleanup_(file_closep) FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_(string_freep) char *line = NULL;
	size_t size = 0;

	if (!file)
		return -errno;

	while (getline(&line, &size, file) >= 0)
		if (cgroup_path_parse_mount(line, ret) >= 0 && ret->id == id)
			return 0;

	return -ENOENT;
}

/* @root and @below put together, without a trailing slash. */
static char *join(const char *root, const char *below)
{
	char *joined;

	if (asprintf(&joined, "%s%s", streq(root, "/") ? "" : root,
		     streq(below, "/") ? "" : below) < 0)
		return NULL;

	return joined;
}

int cgroup_path_prefix(int fd, const char *path, char **ret_prefix)
{
	_cleanup_(string_freep) char *real = realpath(path, NULL);
	_cleanup_(mount_freep) struct cgroup_mount *mount = NULL;
	const char *below;
	char *prefix;
	int r;

	if (!real)
		return -errno;

	r = mount_id_of_fd(fd);
	if (r < 0)
		return r;

	/* Two path names are too much for the stack of a daemon that locks its memory. */
	mount = malloc(sizeof(*mount));
	if (!mount)
		return -ENOMEM;

	r = find_mount(r, mount);
	if (r < 0)
		return r;

	below = cgroup_path_below(real, streq(mount->point, "/") ? "" : mount->point);
	if (!below)
		return -ENOENT;

	prefix = join(mount->root, below);
	if (!prefix)
		return -ENOMEM;

	*ret_prefix = prefix;
	return 0;
}

const char *cgroup_path_relative(const char *path)
{
	path += strspn(path, "/");
	return *path ? path : ".";
}

int cgroup_path_open(int dirfd, const char *path)
{
	int fd;

	fd = openat(dirfd, cgroup_path_relative(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;

	return fd;
}
