/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One hook's socket: valid frames in and out, or it is closed. Never blocks.
 * At most one question is open at a time, with a deadline (request.h).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "libhook/wire.h"

struct conn;

/* Why a connection ended. */
enum conn_end {
	CONN_HANGUP,   /* the process exited, executed another program, or said BYE */
	CONN_SILENT,   /* no HELLO within 2 s */
	CONN_PROTOCOL, /* an invalid or unexpected frame, or too many */
	CONN_FULL,     /* does not read what we send */
	CONN_DECLINED, /* on_hello did not want it */
};
const char *conn_end_to_string(enum conn_end end);

struct conn_handler {
	/*
	 * The first valid frame. Questions may be asked here already. Returning < 0
	 * closes the connection: on_stillborn follows, not on_end.
	 */
	int (*on_hello)(struct conn *conn, const struct wire_hello *hello,
			void *userdata);
	/*
	 * The connection is over, after on_hello had succeeded; an open request was ended
	 * with REQUEST_GONE before. Always from the event loop, never inside a call of
	 * ours. The conn frees itself afterwards: the callee forgets it.
	 */
	void (*on_end)(struct conn *conn, enum conn_end end, void *userdata);
	/* The same before on_hello has succeeded, or when it has not. May be NULL. */
	void (*on_stillborn)(struct conn *conn, enum conn_end end, void *userdata);
	/* The same of all connections, of which there are thousands. */
	void *userdata;
};

/* Takes @fd on success. @handler must outlive the conn. */
int conn_new(sd_event *event, int fd, pid_t pid, uid_t uid,
	     const struct conn_handler *handler, struct conn **ret);
/*
 * Closes without on_end or on_stillborn; an open request ends with REQUEST_GONE. May be
 * called from every callback.
 */
struct conn *conn_free(struct conn *conn);

/*
 * The process that connected is gone, whoever holds its socket now: ends the connection soon,
 * from the event loop, as CONN_HANGUP.
 */
void conn_hang_up(struct conn *conn);

/*
 * When it was made, by CLOCK_BOOTTIME as /proc/PID/stat counts: a process that began later
 * cannot be the one that connected.
 */
uint64_t conn_since_usec(const struct conn *conn);

/* The kernel knows that the process that connected is gone; before Linux 6.5 it never does. */
bool conn_has_ended(const struct conn *conn);

/* Of the process that connected, as the kernel says. */
pid_t conn_pid(const struct conn *conn);
uid_t conn_uid(const struct conn *conn);
void *conn_userdata(const struct conn *conn);
