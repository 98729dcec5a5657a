/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/bell.h"

#include <errno.h>
#include <sys/epoll.h>

#include "agent/basic/fd.h"
#include "agent/basic/realtime.h"

static int control(struct bell *bell, int operation, int fd, uint32_t events, struct rope *rope)
{
	struct epoll_event event = { .events = events, .data.ptr = rope };

	return epoll_ctl(bell->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int bell_open(struct bell *bell, sd_event *event, const bell_ring_t *rings)
{
	int r;

	*bell = (struct bell){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC), .rings = rings };
	if (bell->epoll_fd < 0)
		return -errno;

	/* What is ready and no rope. */
	r = control(bell, EPOLL_CTL_ADD, sd_event_get_fd(event), EPOLLIN, NULL);
	if (r < 0) {
		fd_close(bell->epoll_fd);
		return r;
	}

	bell->event = sd_event_ref(event);
	return 0;
}

void bell_close(struct bell *bell)
{
	if (!bell->event)
		return;

	fd_close(bell->epoll_fd);
	bell->event = sd_event_unref(bell->event);
}

/* One at a time: a ring may free any rope, and the kernel takes turns. */
int bell_turn(struct bell *bell, int timeout_msec)
{
	struct epoll_event ready = { 0 };
	int r;

	r = sd_event_prepare(bell->event);
	if (r < 0)
		return r;
	if (epoll_wait(bell->epoll_fd, &ready, 1, r > 0 ? 0 : timeout_msec) < 0 && errno != EINTR)
		return -errno;

	/* Takes what time it is, too, and calls nobody. */
	if (r == 0)
		r = sd_event_wait(bell->event, 0);
	if (r < 0)
		return r;

	if (ready.data.ptr) {
		struct rope *rope = ready.data.ptr;

		bell->rings[rope->ring](rope, ready.events);
	}
	if (r > 0)
		r = sd_event_dispatch(bell->event);
	return r < 0 ? r : 0;
}

int bell_loop(struct bell *bell)
{
	int r, code;

	while (sd_event_get_state(bell->event) != SD_EVENT_FINISHED) {
		realtime_renew();
		r = bell_turn(bell, -1);
		if (r < 0)
			return r;
	}

	r = sd_event_get_exit_code(bell->event, &code);
	return r < 0 ? r : code;
}

int bell_watch(struct bell *bell, int fd, uint32_t events, struct rope *rope)
{
	return control(bell, EPOLL_CTL_ADD, fd, events, rope);
}

int bell_again(struct bell *bell, int fd, uint32_t events, struct rope *rope)
{
	return control(bell, EPOLL_CTL_MOD, fd, events, rope);
}

void bell_unwatch(struct bell *bell, int fd)
{
	(void)control(bell, EPOLL_CTL_DEL, fd, 0, NULL);
}
