/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which files make up the configuration, in the order in which to read them. */

#include <stdbool.h>
#include <stddef.h>

struct file {
	char *path;
	int error; /* negative errno: it could not be read */
	/* Nobody would read it, by @error: a link to nothing, a directory for a file or the reverse. */
	bool passed_over;
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
/* This file alone. */
int files_take(const char *path, struct files *ret);
void files_done(struct files *files);
