/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each turn serves one connection, so that nothing else of the daemon waits for many. */

#include "agent/hook/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/hook/conn-internal.h"

/* Deadlines need not be sharp, and wake-ups that fall together cost one. */
#define ACCURACY_USEC (10 * USEC_PER_MSEC)

static LIST_HEAD(, loop) loops = LIST_HEAD_INITIALIZER(loops);

static uint64_t loop_now(const struct loop *loop)
{
	uint64_t usec = 0;

	(void)sd_event_now(loop->event, CLOCK_MONOTONIC, &usec);
	return usec;
}

/* One at a time: a callback may free any connection, and the kernel takes turns. */
static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct epoll_event ready;

	(void)source;
	(void)revents;
	(void)userdata;
	if (epoll_wait(fd, &ready, 1, 0) == 1)
		conn_ready(ready.data.ptr, ready.events);
	return 0;
}

static void plan(struct loop *loop, uint64_t at_usec)
{
	loop->timer_usec = at_usec;
	(void)sd_event_source_set_time(loop->timer, at_usec);
	(void)sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT);
}

/* Deadlines that were disarmed meanwhile have left the timer where it was: look again. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct loop *loop = userdata;
	const uint64_t now_usec = loop_now(loop);
	uint64_t next_usec = UINT64_MAX;
	struct conn *conn;

	(void)source;
	(void)usec;

	loop->timer_usec = 0;
	TAILQ_FOREACH(conn, &loop->armed, armed) {
		if (conn->deadline_usec <= now_usec) {
			/* There may be more; and afterwards the loop may be gone. */
			plan(loop, now_usec);
			loop_disarm(loop, conn);
			conn_expire(conn);
			return 0;
		}
		next_usec = MIN(next_usec, conn->deadline_usec);
	}

	if (next_usec != UINT64_MAX)
		plan(loop, next_usec);
	return 0;
}

static int loop_start(struct loop *loop)
{
	int r;

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;

	r = sd_event_add_io(loop->event, &loop->io, loop->epoll_fd, EPOLLIN, on_io, loop);
	if (r < 0)
		return r;

	r = sd_event_add_time(loop->event, &loop->timer, CLOCK_MONOTONIC, 0, ACCURACY_USEC,
			      on_timer, loop);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(loop->io, "hooks");
	(void)sd_event_source_set_description(loop->timer, "hook-deadlines");
	return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
}

int loop_join(sd_event *event, struct loop **ret)
{
	struct loop *loop;
	int r;

	LIST_FOREACH(loop, &loops, list)
		if (loop->event == event) {
			loop->n_conns++;
			*ret = loop;
			return 0;
		}

	loop = malloc(sizeof(*loop));
	if (!loop)
		return -ENOMEM;

	*loop = (struct loop){ .event = sd_event_ref(event), .n_conns = 1, .epoll_fd = -1 };
	TAILQ_INIT(&loop->armed);
	LIST_INSERT_HEAD(&loops, loop, list);
	r = loop_start(loop);
	if (r < 0) {
		loop_leave(loop);
		return r;
	}

	*ret = loop;
	return 0;
}

struct loop *loop_leave(struct loop *loop)
{
	if (!loop || --loop->n_conns > 0)
		return NULL;

	LIST_REMOVE(loop, list);
	sd_event_source_disable_unref(loop->io);
	sd_event_source_disable_unref(loop->timer);
	fd_close(loop->epoll_fd);
	sd_event_unref(loop->event);
	free(loop);
	return NULL;
}

int loop_watch(struct loop *loop, int fd, struct conn *conn)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = conn };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void loop_unwatch(struct loop *loop, int fd)
{
	const int saved_errno = errno;

	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	errno = saved_errno;
}

void loop_arm(struct loop *loop, struct conn *conn, uint64_t in_usec)
{
	const uint64_t at_usec = MAX(add_sat(loop_now(loop), in_usec), 1);

	loop_disarm(loop, conn);
	conn->deadline_usec = at_usec;
	TAILQ_INSERT_TAIL(&loop->armed, conn, armed);
	if (loop->timer_usec == 0 || at_usec < loop->timer_usec)
		plan(loop, at_usec);
}

void loop_disarm(struct loop *loop, struct conn *conn)
{
	if (conn->deadline_usec == 0)
		return;

	TAILQ_REMOVE(&loop->armed, conn, armed);
	conn->deadline_usec = 0;
}
