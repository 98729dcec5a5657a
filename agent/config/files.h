/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which files make up the configuration, in the order in which to read them. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

struct file {
	char *path;
	int error; /* negative errno: it could not be read */
	/* Nobody would read it, by @error: a link to nothing, a directory for a file or the reverse. */
	bool passed_over;
	bool of_unit; /* a drop-in of systemd's, in which a section is ours: see unit-files.h */
	unsigned int odd_line; /* then: where one begins that is not read; 0: nowhere */
};

struct files {
	struct file *items;
	size_t n;
};

/*
 * The first memguard/memguard.conf below /etc, /run, /usr/local/lib, /usr/lib, then the
 * drop-ins of all of them by name, as systemd-analyze cat-config orders them. Each path
 * begins with @root. 0 or -ENOMEM.
 */
int files_find(const char *root, struct files *ret);
/*
 * Appends the drop-ins of the @n directories @paths by name, each path with @root in front: of namesakes
 * the one in the directory that comes first, and none that is switched off. 0 or a negative errno.
 */
int files_merge(const char *root, char *const *paths, size_t n, struct files *files);
/* Takes @file's path, which is the caller's again on failure. 0 or -ENOMEM. */
int files_append(struct files *files, const struct file *file);
/* This file alone. */
int files_take(const char *path, struct files *ret);
void files_done(struct files *files);

/* What we have too little of, and so no fault of a file. */
static inline bool files_is_shortage(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}
