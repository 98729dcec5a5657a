/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/bell.h"

#include <errno.h>
#include <sys/epoll.h>

#include "agent/basic/fd.h"

/* One at a time: a ring may free any guard, and the kernel takes turns. */
static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	const struct bell *bell = userdata;
	struct epoll_event ready;

	(void)source;
	(void)revents;
	if (epoll_wait(fd, &ready, 1, 0) == 1)
		bell->ring(ready.data.ptr, ready.events);
	return 0;
}

int bell_open(struct bell *bell, sd_event *event, const char *name, bell_ring_t ring)
{
	int r;

	*bell = (struct bell){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC), .ring = ring };
	if (bell->epoll_fd < 0)
		return -errno;

	r = sd_event_add_io(event, &bell->source, bell->epoll_fd, EPOLLIN, on_ready, bell);
	if (r < 0) {
		fd_close(bell->epoll_fd);
		return r;
	}

	(void)sd_event_source_set_description(bell->source, name);
	return sd_event_source_set_priority(bell->source, SD_EVENT_PRIORITY_IMPORTANT);
}

void bell_close(struct bell *bell)
{
	if (!bell->source)
		return;

	bell->source = sd_event_source_disable_unref(bell->source);
	fd_close(bell->epoll_fd);
}

static int control(struct bell *bell, int operation, int fd, uint32_t events, struct guard *guard)
{
	struct epoll_event event = { .events = events, .data.ptr = guard };

	return epoll_ctl(bell->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int bell_watch(struct bell *bell, int fd, uint32_t events, struct guard *guard)
{
	return control(bell, EPOLL_CTL_ADD, fd, events, guard);
}

int bell_again(struct bell *bell, int fd, uint32_t events, struct guard *guard)
{
	return control(bell, EPOLL_CTL_MOD, fd, events, guard);
}

void bell_unwatch(struct bell *bell, int fd)
{
	(void)control(bell, EPOLL_CTL_DEL, fd, 0, NULL);
}
