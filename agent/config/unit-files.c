/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looks for drop-ins of services, and says whose they are. Reads none of them. */

#include "agent/config/unit-files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/macro.h"

#define SUFFIX ".service"
/* More than anybody chains; an end for those that go in a circle. */
#define ALIASES_MAX 8

/* In systemd's order, the first wins. Those with a variable are a user's own. */
static const struct {
	const char *path;
	const char *variable;
	const char *below_home; /* where that is not set */
} bases[] = {
	{ .variable = "XDG_CONFIG_HOME", .below_home = "/.config" },
	{ .path = "/etc" },
	{ .variable = "XDG_RUNTIME_DIR" },
	{ .path = "/run" },
	{ .variable = "XDG_DATA_HOME", .below_home = "/.local/share" },
	{ .path = "/usr/local/lib" },
	{ .path = "/usr/lib" },
};

struct caller {
	int (*f)(struct file *file, void *userdata);
	void *userdata;
};

struct directories {
	char *paths[ARRAY_SIZE(bases)];
	size_t n;
};

static void paths_free(char **paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(paths[i]);
}

static void directories_done(struct directories *directories)
{
	paths_free(directories->paths, directories->n);
}

static void freep(char **p)
{
	free(*p);
}

/* As the XDG specification has it: what is not absolute is ignored. */
static const char *absolute(const char *variable)
{
	const char *value = variable ? getenv(variable) : NULL;

	return value && value[0] == '/' ? value : NULL;
}

static int list_directories(const char *root, bool user, struct directories *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		const char *base = bases[i].path, *below = "";

		if (!base && user)
			base = absolute(bases[i].variable);
		if (!base && user && bases[i].below_home) {
			base = absolute("HOME");
			below = bases[i].below_home;
		}
		if (!base)
			continue;

		if (asprintf(&ret->paths[ret->n], "%s%s%s/systemd/%s", root, base, below,
			     user ? "user" : "system") < 0)
			return -ENOMEM;
		ret->n++;
	}

	return 0;
}

static bool ends_with(const char *s, size_t n, const char *end)
{
	const size_t n_end = strlen(end);

	return n > n_end && memcmp(s + n - n_end, end, n_end) == 0;
}

/* "service.d" is for all: nothing is read there, and that is told. */
static bool is_directory_name(const char *name, size_t n)
{
	return name[0] != '.' && (ends_with(name, n, SUFFIX ".d") ||
				  (n == strlen("service.d") && memcmp(name, "service.d", n) == 0));
}

static int filter(const struct dirent *entry)
{
	return is_directory_name(entry->d_name, strlen(entry->d_name));
}

static bool exists(const char *root, const char *directory, const char *name)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(fd_closep) int fd = -1;

	if (asprintf(&path, "%s/%s", directory, name) < 0) {
		path = NULL;
		return false;
	}

	fd = fd_open_below(root, path, O_PATH | O_CLOEXEC);
	return fd >= 0;
}

/* The drop-ins in the directories called @name, from the @i-th of those with units on. */
static int each_of_unit(const char *root, const struct directories *directories, size_t i, const char *name,
			const struct caller *caller)
{
	_cleanup_(files_done) struct files files = { 0 };
	char *paths[ARRAY_SIZE(bases)];
	size_t n = 0;
	int r = 0;

	/* One of an earlier directory has brought all of its name. */
	for (size_t j = 0; j < i; j++)
		if (exists(root, directories->paths[j], name))
			return 0;

	for (; r >= 0 && i < directories->n; i++)
		if (asprintf(&paths[n], "%s/%s", directories->paths[i], name) < 0)
			r = -ENOMEM;
		else
			n++;
	if (r >= 0)
		r = files_merge(root, paths, n, &files);
	paths_free(paths, n);

	for (size_t j = 0; r >= 0 && j < files.n; j++) {
		files.items[j].of_unit = true;
		r = caller->f(&files.items[j], caller->userdata);
	}

	return r;
}

static int each_of_directory(const char *root, const struct directories *directories, size_t i,
			     const struct caller *caller)
{
	_cleanup_(fd_closep) int fd =
		fd_open_below(root, directories->paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries;
	int n, r = 0;

	if (fd < 0)
		return files_is_shortage(fd) ? fd : 0;

	n = scandirat(fd, ".", &entries, filter, alphasort);
	if (n < 0)
		return files_is_shortage(-errno) ? -errno : 0;

	for (int j = 0; j < n; j++) {
		if (r >= 0)
			r = each_of_unit(root, directories, i, entries[j]->d_name, caller);
		free(entries[j]);
	}
	free(entries);
	return r;
}

int unit_files_each(const char *root, bool user, int (*f)(struct file *file, void *userdata), void *userdata)
{
	const struct caller caller = { f, userdata };
	_cleanup_(directories_done) struct directories directories = { .n = 0 };
	int r;

	r = list_directories(root, user, &directories);
	for (size_t i = 0; r >= 0 && i < directories.n; i++)
		r = each_of_directory(root, &directories, i, &caller);

	return r;
}

/* The name of the directory that @path is in; NULL where it does not say. */
static const char *directory_name(const char *path, size_t *ret_n)
{
	const char *end = strrchr(path, '/'), *s = end;

	while (s && s > path && s[-1] != '/')
		s--;
	if (!s || s == end)
		return NULL;

	*ret_n = (size_t)(end - s);
	return s;
}

bool unit_files_is_drop_in(const char *path)
{
	size_t n;
	const char *name = directory_name(path, &n);

	return name && is_directory_name(name, n);
}

/* As systemd has them, "app-.service" and "app-@.service" being for all whose names begin so. */
static bool is_unit(const char *name, size_t n)
{
	size_t prefix = 0;

	if (!ends_with(name, n, SUFFIX))
		return false;

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr(":-_.\\@", name[i]))
			return false;

	while (prefix < n - strlen(SUFFIX) && name[prefix] != '@')
		prefix++;
	return prefix > 0 && name[prefix - 1] != '-';
}

static bool is_template(const char *unit)
{
	return strstr(unit, "@.") != NULL;
}

/* A link to the unit's file in another place is no alias, nor is that of an instance to its template. */
static bool is_alias(const char *unit, const char *target)
{
	const size_t n = strlen(target);

	return !streq(unit, target) && n < UNIT_FILES_NAME_MAX && is_unit(target, n) &&
	       is_template(unit) == is_template(target);
}

/* 1: @unit was an alias, and now is what it stands for. */
static int follow(const char *root, const struct directories *directories,
		  char unit[static UNIT_FILES_NAME_MAX])
{
	for (size_t i = 0; i < directories->n; i++) {
		_cleanup_(freep) char *path = NULL;
		_cleanup_(fd_closep) int fd = -1;
		char target[4096];
		const char *name;
		ssize_t n;

		if (asprintf(&path, "%s/%s", directories->paths[i], unit) < 0) {
			path = NULL;
			return -ENOMEM;
		}

		fd = fd_open_below(root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;

		/* The first of that name is the one. */
		n = readlinkat(fd, "", target, sizeof(target) - 1);
		if (n < 0)
			return 0;

		target[n] = '\0';
		name = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
		if (!is_alias(unit, name))
			return 0;

		memcpy(unit, name, strlen(name) + 1);
		return 1;
	}

	return 0;
}

bool unit_files_name(const char *root, bool user, const char *path, char ret[static UNIT_FILES_NAME_MAX])
{
	_cleanup_(directories_done) struct directories directories = { .n = 0 };
	size_t n;
	const char *name = directory_name(path, &n);

	if (!name || n >= UNIT_FILES_NAME_MAX || !is_unit(name, n - strlen(".d")))
		return false;

	snprintf(ret, UNIT_FILES_NAME_MAX, "%.*s", (int)(n - strlen(".d")), name);
	if (list_directories(root, user, &directories) < 0)
		return true;

	for (int i = 0; i < ALIASES_MAX && follow(root, &directories, ret) > 0; i++)
		;
	return true;
}
