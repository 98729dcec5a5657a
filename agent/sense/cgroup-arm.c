/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel of cgroup v1 can be asked to tell of a group, by eventfds. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/sense/cgroup.h"
#include "agent/sense/cgroup-path.h"

/* Registers an eventfd for @fd, a file of the group, with @argument; returns it. */
static int arm_event(const struct cgroup *cgroup, int fd, const char *argument)
{
	_cleanup_(fd_closep) int event_fd = -1, control_fd = -1;
	char text[64];
	int n, r;

	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return -errno;

	control_fd = openat(cgroup->fd, "cgroup.event_control", O_WRONLY | O_CLOEXEC);
	if (control_fd < 0)
		return cgroup_gone(-errno);

	n = snprintf(text, sizeof(text), "%d %d %s", event_fd, fd, argument);
	r = fd_write_exact(control_fd, text, (size_t)n);
	if (r < 0)
		return cgroup_gone(r);

	return TAKE_FD(event_fd);
}

int cgroup_arm_threshold(struct cgroup *cgroup, uint64_t bytes)
{
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	char argument[32];

	if (cgroup->kind != GROUP_V1)
		return -EOPNOTSUPP;

	/*
	 * The kernel rounds down to whole pages: it would tell of the page below, whose reading is
	 * not at the threshold yet, and then no more.
	 */
	bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
	(void)snprintf(argument, sizeof(argument), "%llu", (unsigned long long)bytes);
	return arm_event(cgroup, cgroup->usage_fd, argument);
}

int cgroup_arm_level(struct cgroup *cgroup)
{
	_cleanup_(fd_closep) int fd = -1;

	if (cgroup->kind != GROUP_V1)
		return -EOPNOTSUPP;

	fd = openat(cgroup->fd, "memory.pressure_level", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	/* Those who listen to medium hear of critical, too. */
	return arm_event(cgroup, fd, "medium");
}
