/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/sense/freezer.h"

#include <stdio.h>
#include <string.h>

#include "agent/basic/fd.h"
#include "agent/basic/macro.h"
#include "agent/sense/cgroup-path.h"

/* One that is above it counts, too. */
static bool is_frozen_v2(const struct cgroup *cgroup)
{
	char text[256];

	return fd_read_file(cgroup->fd, "cgroup.events", text, sizeof(text)) >= 0 &&
	       strstr(text, "frozen 1\n");
}

/* The same there, once all of it have stopped. */
static bool is_frozen_v1(const struct cgroup_root *root, pid_t pid)
{
	static const char freezer[] = ":freezer:";
	/* Mostly short: on the stack it would have to be there in full before it is needed. */
	static char text[4 * CGROUP_PATH_MAX];
	char name[64], path[CGROUP_PATH_MAX + 64];
	char *group, state[32];
	int n;

	(void)snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	if (fd_read_file(-1, name, text, sizeof(text)) < 0)
		return false;

	group = strstr(text, freezer);
	if (!group)
		return false;

	group += strlen(freezer);
	*strchrnul(group, '\n') = '\0';
	/* Outside of our namespace. */
	if (cgroup_path_depth(group) < 0)
		return false;

	/* Beside the memory controller's. */
	n = snprintf(path, sizeof(path), "../freezer%s/freezer.state", group);
	return n < (int)sizeof(path) &&
	       fd_read_file(root->fd, path, state, sizeof(state)) >= 0 &&
	       streq(state, "FROZEN\n");
}

bool freezer_holds(const struct cgroup_root *root, const struct cgroup *cgroup, pid_t pid)
{
	if (!cgroup_is_open(cgroup))
		return false;

	return cgroup->kind == GROUP_V2 ? is_frozen_v2(cgroup) : is_frozen_v1(root, pid);
}
