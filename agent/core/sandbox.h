/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The cgroup with a limit that `run` makes for its command, where it may. */

#include <stdint.h>
#include <sys/types.h>

struct sandbox {
	char *directory; /* of the new cgroup; NULL: none */
};

/*
 * Makes a child of the caller's own memory cgroup with @limit_bytes. @cgroup_root as for
 * cgroup_root_open(). Negative where that is not possible: -EACCES, -EROFS, -EBUSY (v2, a
 * group with processes cannot hand its controllers on), -ENOENT.
 */
int sandbox_new(const char *cgroup_root, uint64_t limit_bytes, struct sandbox *ret);
/* Moves the calling process in. */
int sandbox_enter(const struct sandbox *sandbox);
/* Removes it; what still runs in it keeps it. */
void sandbox_free(struct sandbox *sandbox);
