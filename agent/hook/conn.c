/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The socket and the life of one connection; what is said on it is request.c's. */

#include "agent/hook/conn.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/sparse.h"
#include "agent/hook/conn-internal.h"

/* A hook says HELLO right after connecting; 2 s is a machine that thrashes. */
#define HELLO_TIMEOUT_USEC (2 * USEC_PER_SEC)

const char *conn_end_to_string(enum conn_end end)
{
	switch (end) {
	case CONN_HANGUP:
		return "the process ended or hung up";
	case CONN_SILENT:
		return "it did not introduce itself in time";
	case CONN_PROTOCOL:
		return "it sent what no hook of this version sends";
	case CONN_FULL:
		return "it does not read what it is sent";
	case CONN_DECLINED:
		return "it is not wanted here";
	}

	return "unknown";
}

static struct sparse places = { .record_bytes = sizeof(struct conn) };

static void conn_hold(struct conn *conn)
{
	conn->n_holds++;
}

static void conn_unhold(struct conn *conn)
{
	if (--conn->n_holds == 0 && conn->state == CONN_FREED)
		sparse_give(&places, conn, true);
}

static void conn_close(struct conn *conn)
{
	if (!conn->loop)
		return;

	loop_disarm(conn->loop, conn);
	loop_unwatch(conn->loop, conn->fd);
	conn->loop = loop_leave(conn->loop);
	conn->fd = fd_close(conn->fd);
}

/* From the event loop only, and held. */
static void conn_finish(struct conn *conn, enum conn_end end)
{
	if (conn->state == CONN_OVER || conn->state == CONN_FREED)
		return;

	conn->state = CONN_OVER;
	conn_close(conn);
	request_gone(conn);
	if (conn->state == CONN_FREED)
		return;

	if (conn->member)
		conn->handler->on_end(conn, end, conn->handler->userdata);
	else if (conn->handler->on_stillborn)
		conn->handler->on_stillborn(conn, end, conn->handler->userdata);

	conn->state = CONN_FREED;
}

/* The caller may be anywhere: let the deadline do it, at once. */
static void conn_finish_soon(struct conn *conn, enum conn_end end)
{
	conn->state = CONN_ENDING;
	conn->end = end;
	loop_unwatch(conn->loop, conn->fd);
	conn_arm(conn, 0);
}

void conn_hang_up(struct conn *conn)
{
	if (conn->state == CONN_GREETING || conn->state == CONN_OPEN)
		conn_finish_soon(conn, CONN_HANGUP);
}

static void conn_take_hello(struct conn *conn, const struct wire_hello *hello)
{
	int r;

	if (conn->state != CONN_GREETING) {
		conn_finish(conn, CONN_PROTOCOL);
		return;
	}

	conn->state = CONN_OPEN;
	conn_disarm(conn);
	r = conn->handler->on_hello(conn, hello, conn->handler->userdata);
	if (r < 0)
		conn_finish(conn, CONN_DECLINED);
	else
		conn->member = true;
}

static void conn_take(struct conn *conn, const struct wire_frame *frame)
{
	int r = -EPROTO;

	switch ((enum wire_verb)frame->header.verb) {
	case WIRE_HELLO:
		conn_take_hello(conn, &frame->hello);
		return;
	case WIRE_BYE:
		conn_finish(conn, CONN_HANGUP);
		return;
	case WIRE_STATS:
	case WIRE_ARENA:
	case WIRE_RECLAIM:
	case WIRE_TUNE:
		if (conn->state == CONN_OPEN)
			r = request_take(conn, frame);
		break;
	}

	if (r < 0)
		conn_finish(conn, CONN_PROTOCOL);
}

/*
 * One frame for each wake-up: a peer that sends without end takes turns with the others,
 * and nothing is touched after a callback that may have freed us. No control buffer: the
 * kernel drops descriptors that a peer attaches.
 */
static void conn_receive(struct conn *conn, uint32_t revents)
{
	const bool hung_up = revents & (EPOLLHUP | EPOLLRDHUP | EPOLLERR);
	struct wire_frame frame;
	ssize_t n;

	/* With MSG_TRUNC a longer datagram reports its real size, and is refused. */
	n = recv(conn->fd, &frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;

	/* Gone before it was known: its pid may already be somebody else's. */
	if (n < 0 || (hung_up && (n == 0 || conn->state == CONN_GREETING)))
		conn_finish(conn, CONN_HANGUP);
	else if (wire_check(&frame, (size_t)n, WIRE_TO_DAEMON) < 0)
		conn_finish(conn, CONN_PROTOCOL);
	else
		conn_take(conn, &frame);
}

void conn_ready(struct conn *conn, uint32_t revents)
{
	conn_hold(conn);
	conn_receive(conn, revents);
	conn_unhold(conn);
}

/*
 * After a stall of our own the deadline and the answer are both there. The answer counts.
 * No peer can stretch this: it may only send as many frames as its answer has.
 */
static bool conn_is_readable(const struct conn *conn)
{
	return recv(conn->fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC) > 0;
}

void conn_expire(struct conn *conn)
{
	conn_hold(conn);
	if (conn->state == CONN_ENDING)
		conn_finish(conn, conn->end);
	else if (conn_is_readable(conn))
		conn_arm(conn, 0);
	else if (conn->state == CONN_GREETING)
		conn_finish(conn, CONN_SILENT);
	else
		request_deadline(conn);
	conn_unhold(conn);
}

int conn_check(const struct conn *conn)
{
	return conn->state == CONN_OPEN ? 0 : -ENOTCONN;
}

int conn_send(struct conn *conn, const struct wire_frame *frame)
{
	ssize_t n;

	do
		n = send(conn->fd, frame, sizeof(*frame), MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);

	if (n == (ssize_t)sizeof(*frame))
		return 0;
	if (n < 0 && errno == EAGAIN) {
		conn_finish_soon(conn, CONN_FULL);
		return -EPIPE;
	}
	/* A closed socket is readable: the loop is about to notice by itself. */
	if (n < 0 && errno == ECONNRESET)
		return -EPIPE;

	return n < 0 ? -errno : -EIO;
}

void conn_arm(struct conn *conn, uint64_t timeout_usec)
{
	loop_arm(conn->loop, conn, timeout_usec);
}

void conn_disarm(struct conn *conn)
{
	if (conn->loop)
		loop_disarm(conn->loop, conn);
}

/* Not as of this turn of the loop, during which the process may have begun. */
static uint64_t boottime_now(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

int conn_new(sd_event *event, int fd, pid_t pid, uid_t uid,
	     const struct conn_handler *handler, struct conn **ret)
{
	struct conn *conn;
	int r;

	assert(event && fd >= 0);
	assert(handler && handler->on_hello && handler->on_end);
	assert(ret);

	conn = sparse_take(&places);
	if (!conn)
		return -ENOMEM;

	*conn = (struct conn){
		.fd = fd,
		.pid = pid,
		.uid = uid,
		.since_usec = boottime_now(),
		.handler = handler,
	};

	/* Not ours until we succeed: on error the caller still closes @fd. */
	r = loop_join(event, &conn->loop);
	if (r >= 0) {
		r = loop_watch(conn->loop, fd, conn);
		if (r < 0)
			loop_leave(conn->loop);
	}
	if (r < 0) {
		sparse_give(&places, conn, true);
		return r;
	}

	conn_arm(conn, HELLO_TIMEOUT_USEC);
	*ret = conn;
	return 0;
}

struct conn *conn_free(struct conn *conn)
{
	if (!conn || conn->state == CONN_FREED)
		return NULL;

	conn_hold(conn);
	conn->state = CONN_FREED;
	conn_close(conn);
	request_gone(conn);
	conn_unhold(conn);
	return NULL;
}

uint64_t conn_since_usec(const struct conn *conn)
{
	return conn->since_usec;
}

bool conn_has_ended(const struct conn *conn)
{
	return fd_peer_has_ended(conn->fd) > 0;
}

pid_t conn_pid(const struct conn *conn)
{
	return conn->pid;
}

uid_t conn_uid(const struct conn *conn)
{
	return conn->uid;
}

void *conn_userdata(const struct conn *conn)
{
	return conn->handler->userdata;
}
