/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What conn.c and request.c share; nobody else includes this. conn.c owns the socket, the
 * timer and the connection's life, request.c owns the one question.
 */

#include "agent/hook/loop.h"
#include "agent/hook/request.h"

enum conn_state {
	CONN_GREETING, /* HELLO is due */
	CONN_OPEN,     /* a member, or becoming one in on_hello */
	CONN_ENDING,   /* the timer will end it from the event loop */
	CONN_OVER,     /* closed; callbacks may still run */
	CONN_FREED,    /* the owner has forgotten it; memory goes with the last hold */
};

enum question_state {
	QUESTION_NONE,
	QUESTION_SENT, /* an answer is due before the deadline */
	QUESTION_LATE, /* timed out and told so; what still comes is dropped */
};

struct question {
	enum question_state state : 8;
	uint8_t verb;           /* enum wire_verb */
	uint8_t knob;           /* of WIRE_TUNE */
	bool wants_rows : 1;    /* of WIRE_STATS */
	bool overtaken : 1;     /* the answer to the one before is due first */
	uint32_t n_late;        /* late answers dropped, ever */
	uint32_t id;            /* of the last question; the first is 1, and in a century the last */
	uint16_t n_frames_left; /* ARENA frames due, as wire_check() allows; 0 while the first is */
	uint16_t n_rows_told;   /* in ARENA frames so far, kept or not */
	request_done_t done;
	void *userdata;
};

struct conn {
	int fd;
	pid_t pid;
	uid_t uid;
	/* There are thousands of us. */
	enum conn_state state : 8;
	enum conn_end end : 8;    /* of CONN_ENDING */
	unsigned int n_holds : 8; /* callers up the stack that still look at us: three at most */
	bool member : 1;          /* on_hello has accepted it */
	uint64_t since_usec;      /* CLOCK_BOOTTIME */
	struct loop *loop;      /* NULL: closed */
	TAILQ_ENTRY(conn) armed;
	uint64_t deadline_usec; /* of HELLO, then of the question, at last of the end; 0: none */
	const struct conn_handler *handler;
	struct question question;
};

/* request.c, for conn.c, which holds @conn meanwhile: callbacks may free it. */

/* A valid frame that is no HELLO and no BYE. -EPROTO: nobody asked for it. */
int request_take(struct conn *conn, const struct wire_frame *frame);
void request_deadline(struct conn *conn);
/* The connection is over. */
void request_gone(struct conn *conn);

/* conn.c, for loop.c. */

void conn_ready(struct conn *conn, uint32_t revents);
void conn_expire(struct conn *conn);

/* conn.c, for request.c. */

/* -ENOTCONN before HELLO and after the end. */
int conn_check(const struct conn *conn);
/* -EPIPE: over, or about to be. */
int conn_send(struct conn *conn, const struct wire_frame *frame);
void conn_arm(struct conn *conn, uint64_t timeout_usec);
void conn_disarm(struct conn *conn);
