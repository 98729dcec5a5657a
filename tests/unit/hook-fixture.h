/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connection whose other end the test holds, and what its callbacks were told. */

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/hook/conn-internal.h"
#include "tests/unit/test.h"

#define FIXTURE_PID 4711
#define FIXTURE_UID 815
#define FIXTURE_ROWS 2048

struct fixture {
	sd_event *event;
	struct conn_handler handler;
	struct conn *conn; /* NULL once it has ended */
	int peer;
	int daemon; /* number of the conn's descriptor */

	int hello_result;
	bool free_in_hello, free_in_end, free_in_done;
	bool ask_in_hello, ask_in_done, ask_in_end;

	int n_hello, n_end, n_stillborn, n_done;
	int n_done_at_end; /* n_done when on_end was called */
	int ask_result;
	struct wire_hello hello;
	enum conn_end end;
	enum request_end done;
	bool has_answer;
	struct wire_frame answer;
	size_t n_rows;
	struct wire_arena rows[FIXTURE_ROWS];
};

static inline void fixture_on_done(struct conn *conn, enum request_end end,
				   const struct request_answer *answer, void *userdata)
{
	struct fixture *f = userdata;

	f->n_done++;
	f->done = end;
	f->has_answer = answer;
	if (answer) {
		f->answer = *answer->frame;
		f->n_rows = answer->n_rows;
		for (size_t i = 0; i < answer->n_rows && i < FIXTURE_ROWS; i++)
			f->rows[i] = answer->rows[i];
	}

	if (f->ask_in_done)
		f->ask_result = request_reclaim(conn, &(struct reclaim){ .method = WIRE_METHOD_FULL }, 60000000,
						fixture_on_done, f);
	if (f->free_in_done)
		f->conn = conn_free(conn);
}

static inline int fixture_on_hello(struct conn *conn, const struct wire_hello *hello,
				   void *userdata)
{
	struct fixture *f = userdata;

	f->n_hello++;
	f->hello = *hello;
	if (f->ask_in_hello)
		f->ask_result = request_tune(conn, WIRE_KNOB_ARENA_MAX, 2, 60000000,
					     fixture_on_done, f);
	if (f->free_in_hello)
		f->conn = conn_free(conn);

	return f->hello_result;
}

static inline void fixture_over(struct fixture *f, struct conn *conn, enum conn_end end)
{
	f->end = end;
	f->n_done_at_end = f->n_done;
	if (f->ask_in_end)
		f->ask_result = request_stats(conn, 0, 60000000, fixture_on_done, f);
	if (f->free_in_end)
		conn_free(conn);
	f->conn = NULL;
}

static inline void fixture_on_end(struct conn *conn, enum conn_end end, void *userdata)
{
	struct fixture *f = userdata;

	f->n_end++;
	fixture_over(f, conn, end);
}

static inline void fixture_on_stillborn(struct conn *conn, enum conn_end end,
					void *userdata)
{
	struct fixture *f = userdata;

	f->n_stillborn++;
	fixture_over(f, conn, end);
}

/* Takes @event. Static: a fixture with its rows is too large for some stacks. */
static inline struct fixture *fixture_on(sd_event *event)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	if (f)
		f->handler = (struct conn_handler){
			.on_hello = fixture_on_hello,
			.on_end = fixture_on_end,
			.on_stillborn = fixture_on_stillborn,
			.userdata = f,
		};
	if (!f || !event || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ||
	    conn_new(event, fds[0], FIXTURE_PID, FIXTURE_UID, &f->handler, &f->conn) < 0) {
		perror("fixture");
		exit(1);
	}

	f->event = event;
	f->daemon = fds[0];
	f->peer = fds[1];
	return f;
}

static inline struct fixture *fixture_new(void)
{
	sd_event *event = NULL;

	(void)sd_event_new(&event);
	return fixture_on(event);
}

/* Another connection of the same loop. */
static inline struct fixture *fixture_beside(const struct fixture *f)
{
	return fixture_on(sd_event_ref(f->event));
}

static inline void fixture_free(struct fixture *f)
{
	f->ask_in_done = f->free_in_done = false;
	conn_free(f->conn);
	if (f->peer >= 0)
		close(f->peer);
	sd_event_unref(f->event);
	free(f);
}

/* Until there is nothing to do but wait. */
static inline void fixture_settle(struct fixture *f)
{
	int n = 0;

	while (sd_event_run(f->event, 0) > 0 && n < 100000)
		n++;
	CHECK(n < 100000);
}

/* Until @counter says so; a minute is for machines that are very busy. */
static inline void fixture_wait(struct fixture *f, const int *counter, int value)
{
	for (int n = 0; *counter < value && n < 60; n++)
		if (sd_event_run(f->event, 1000000) < 0)
			break;
	CHECK(*counter >= value);
}

/* The deadline strikes, before the loop has looked at the socket. */
static inline void fixture_strike_first(struct fixture *f)
{
	struct conn *conn = f->conn;

	CHECK(sd_event_source_set_priority(conn->loop->io, SD_EVENT_PRIORITY_IDLE) >= 0);
	CHECK(sd_event_source_set_time_accuracy(conn->loop->timer, 1) >= 0);
	conn_arm(conn, 0);
	CHECK(sd_event_run(f->event, 60000000) > 0);
	if (f->conn)
		CHECK(sd_event_source_set_priority(conn->loop->io, SD_EVENT_PRIORITY_NORMAL) >=
		      0);
}

static inline void fixture_hang_up(struct fixture *f)
{
	close(f->peer);
	f->peer = -1;
}

static inline void fixture_send(struct fixture *f, const void *bytes, size_t size)
{
	CHECK_EQ(send(f->peer, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL), size);
}

static inline void fixture_send_frame(struct fixture *f, const struct wire_frame *frame)
{
	CHECK_EQ(wire_check(frame, sizeof(*frame), WIRE_TO_DAEMON), 0);
	fixture_send(f, frame, sizeof(*frame));
}

static inline struct wire_frame fixture_hello(void)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_HELLO, 0, WIRE_OK);
	frame.hello.page_bytes = 4096;
	frame.hello.allocators = frame.hello.malloc_owner = WIRE_ALLOCATOR_GLIBC;
	strcpy(frame.hello.hook_version, "1.0");
	return frame;
}

static inline void fixture_say_hello(struct fixture *f)
{
	const struct wire_frame frame = fixture_hello();

	fixture_send_frame(f, &frame);
	fixture_settle(f);
}

/* What the hook was asked: one valid frame, and no more. */
static inline struct wire_frame fixture_question(struct fixture *f)
{
	struct wire_frame frame = { 0 };
	ssize_t n;

	n = recv(f->peer, &frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);
	CHECK_EQ(n, sizeof(frame));
	if (n == (ssize_t)sizeof(frame))
		CHECK_EQ(wire_check(&frame, (size_t)n, WIRE_TO_HOOK), 0);
	CHECK_EQ(recv(f->peer, &(struct wire_frame){ 0 }, sizeof(frame), MSG_DONTWAIT),
		 -1);
	return frame;
}
