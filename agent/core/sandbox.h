/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The cgroup with a limit that `run` makes for its command, where it may. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/group.h"

struct sandbox {
	char *directory; /* of the new cgroup; NULL: none */
	enum group_kind kind;
	uint64_t limit_bytes;
};

/* What the kernel counted in it since it was made. */
struct sandbox_account {
	uint64_t peak_bytes; /* 0: not told (v2 before Linux 5.19) */
	uint64_t n_oom_kill;
};

/*
 * Makes a child of the caller's own memory cgroup with @limit_bytes. @cgroup_root as for
 * cgroup_root_open(). Negative where that is not possible: -EACCES, -EROFS, -EBUSY (v2, a
 * group with processes cannot hand its controllers on), -ENOENT.
 */
int sandbox_new(const char *cgroup_root, uint64_t limit_bytes, struct sandbox *ret);
/* Moves the calling process in. */
int sandbox_enter(const struct sandbox *sandbox);
/* The group at @path is it or lies in it; true for all where there is none. */
bool sandbox_has(const struct sandbox *sandbox, const char *path);
/* All 0 where there is none, or its files cannot be read. */
void sandbox_read(const struct sandbox *sandbox, struct sandbox_account *ret);
/* Removes it; what still runs in it keeps it. */
void sandbox_free(struct sandbox *sandbox);
