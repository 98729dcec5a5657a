/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looks for the configuration's files. Reads none of them. */

#include "agent/config/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/macro.h"

#define MAIN_FILE "memguard/memguard.conf"
#define SUFFIX ".conf"

/* The first wins. Also for /usr/local: what is local beats what was packaged. */
static const char *const directories[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib" };

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static void freep(char **p)
{
	free(*p);
}

void files_done(struct files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->items[i].path);
	free(files->items);
	*files = (struct files){ 0 };
}

int files_append(struct files *files, const struct file *file)
{
	struct file *items;

	items = reallocarray(files->items, files->n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;

	files->items = items;
	files->items[files->n++] = *file;
	return 0;
}

/* Takes the path, also on failure. */
static int add_file(struct files *files, struct file file)
{
	const int r = file.path ? files_append(files, &file) : -ENOMEM;

	if (r < 0)
		free(file.path);
	return r;
}

static int add(struct files *files, char *path, int error)
{
	return add_file(files, (struct file){ .path = path, .error = error });
}

/* It is told, and the others are read. */
static int pass_over(struct files *files, char *path, int error)
{
	return add_file(files, (struct file){ .path = path, .error = error, .passed_over = true });
}

static char *join(const char *a, const char *b, const char *c)
{
	char *s;

	return asprintf(&s, "%s%s/%s", a, b, c) < 0 ? NULL : s;
}

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* A directory keeps no namesake out. */
static bool has_name(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->n; i++)
		if (files->items[i].error != -EISDIR &&
		    streq(base_name(files->items[i].path), name))
			return true;

	return false;
}

static bool is_drop_in(const struct dirent *entry)
{
	const size_t n = strlen(entry->d_name), suffix = strlen(SUFFIX);

	return entry->d_name[0] != '.' && n > suffix &&
	       streq(entry->d_name + n - suffix, SUFFIX);
}

/* stat() of what is at @path for programs in @root; with O_NOFOLLOW lstat(). */
static int look(const char *root, const char *path, int flags, struct stat *ret)
{
	_cleanup_(fd_closep) int fd = fd_open_below(root, path, O_PATH | O_CLOEXEC | flags);

	if (fd < 0)
		return fd;

	return fstat(fd, ret) < 0 ? -errno : 0;
}

/* An image has no devices. */
static bool is_link_to_null(const char *root, const char *path)
{
	_cleanup_(fd_closep) int fd = fd_open_below(root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char target[sizeof("/dev/null")] = "";

	return fd >= 0 && readlinkat(fd, "", target, sizeof(target)) == sizeof(target) - 1 &&
	       streq(target, "/dev/null");
}

/* An empty file, or a link to /dev/null: there to keep a packaged one out. */
static bool is_mask(const char *root, const char *path)
{
	struct stat st;

	if (is_link_to_null(root, path))
		return true;
	if (look(root, path, 0, &st) < 0)
		return false;

	return S_ISREG(st.st_mode) ? st.st_size == 0
				   : S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* A link to nothing: whoever made it believes that something is read there. */
static bool is_dangling(const char *root, const char *path)
{
	struct stat st;

	return look(root, path, 0, &st) == -ENOENT && look(root, path, O_NOFOLLOW, &st) == 0 &&
	       !is_link_to_null(root, path);
}

static bool is_directory(const char *root, const char *path)
{
	struct stat st;

	return look(root, path, 0, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_main(const char *root, struct files *files)
{
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		_cleanup_(freep) char *path = join(root, directories[i], MAIN_FILE);
		struct stat st;
		int r;

		if (!path)
			return -ENOMEM;
		if (is_dangling(root, path)) {
			r = pass_over(files, TAKE_PTR(path), -ENOENT);
			if (r < 0)
				return r;
			continue;
		}
		r = is_mask(root, path) ? 0 : look(root, path, 0, &st);
		if (r == -ENOENT || r == -ENOTDIR)
			continue;

		return is_mask(root, path) ? 0 : add(files, TAKE_PTR(path), 0);
	}

	return 0;
}

static int add_drop_in(const char *root, struct files *files, char *path)
{
	if (!path)
		return -ENOMEM;
	if (is_directory(root, path))
		return pass_over(files, path, -EISDIR);

	return is_dangling(root, path) ? pass_over(files, path, -ENOENT) : add(files, path, 0);
}

/* There is no directory at @path: nothing at all is as it should be. */
static int add_no_directory(const char *root, struct files *files, const char *path, int error)
{
	struct stat st;

	if (error != -ENOENT && error != -ENOTDIR)
		return add(files, strdup(path), error);

	return look(root, path, O_NOFOLLOW, &st) == 0 ? pass_over(files, strdup(path), error) : 0;
}

static int add_drop_ins(const char *root, const char *path, struct files *files)
{
	_cleanup_(closedirp) DIR *directory = NULL;
	const struct dirent *entry;
	int fd, r;

	fd = fd_open_below(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return add_no_directory(root, files, path, fd);
	directory = fdopendir(fd);
	if (!directory) {
		r = -errno;
		fd_close(fd);
		return r;
	}

	for (;;) {
		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return errno == 0 ? 0 : add(files, strdup(path), -errno);
		if (!is_drop_in(entry) || has_name(files, entry->d_name))
			continue;

		r = add_drop_in(root, files, join(path, "", entry->d_name));
		if (r < 0)
			return r;
	}
}

static int compare(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	const int r = strcmp(base_name(x->path), base_name(y->path));

	return r != 0 ? r : strcmp(x->path, y->path);
}

/* Only now: until here a mask has kept its namesakes out. */
static void drop_masks(const char *root, struct files *files)
{
	size_t n = 0;

	for (size_t i = 0; i < files->n; i++)
		if (files->items[i].error == 0 && is_mask(root, files->items[i].path))
			free(files->items[i].path);
		else
			files->items[n++] = files->items[i];

	files->n = n;
}

int files_merge(const char *root, char *const *paths, size_t n, struct files *files)
{
	_cleanup_(files_done) struct files drop_ins = { 0 };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_drop_ins(root, paths[i], &drop_ins);
	if (r < 0)
		return r;

	if (drop_ins.n > 0)
		qsort(drop_ins.items, drop_ins.n, sizeof(*drop_ins.items), compare);
	drop_masks(root, &drop_ins);

	for (size_t i = 0; i < drop_ins.n; i++) {
		r = files_append(files, &drop_ins.items[i]);
		if (r < 0)
			return r;
		drop_ins.items[i].path = NULL;
	}

	return 0;
}

int files_find(const char *root, struct files *ret)
{
	_cleanup_(files_done) struct files files = { 0 };
	char *paths[ARRAY_SIZE(directories)] = { NULL };
	int r;

	r = add_main(root, &files);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(directories); i++) {
		paths[i] = join(root, directories[i], MAIN_FILE ".d");
		r = paths[i] ? 0 : -ENOMEM;
	}
	if (r >= 0)
		r = files_merge(root, paths, ARRAY_SIZE(paths), &files);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		free(paths[i]);
	if (r < 0)
		return r;

	*ret = files;
	files = (struct files){ 0 };
	return 0;
}

int files_take(const char *path, struct files *ret)
{
	*ret = (struct files){ 0 };
	return add(ret, strdup(path), 0);
}
