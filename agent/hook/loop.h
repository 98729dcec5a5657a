/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What all connections of an event loop share: one epoll and one timer. Sources of their own
 * would take half a kilobyte for each connection, and allocate where none may be allocated.
 */

#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct conn;

struct loop {
	LIST_ENTRY(loop) list;
	sd_event *event;
	unsigned int n_conns;
	int epoll_fd;
	sd_event_source *io;
	sd_event_source *timer;
	uint64_t timer_usec; /* when it strikes; 0: not at all */
	TAILQ_HEAD(, conn) armed;
};

/* The loop of @event, made with its first connection, and gone with its last one. */
int loop_join(sd_event *event, struct loop **ret);
struct loop *loop_leave(struct loop *loop);

/* conn_ready() is called while @fd is readable, or hung up. */
int loop_watch(struct loop *loop, int fd, struct conn *conn);
/* Before @fd is closed; does nothing when it is not watched. */
void loop_unwatch(struct loop *loop, int fd);

/* conn_expire() is called once, after @in_usec. Arming anew moves the deadline. */
void loop_arm(struct loop *loop, struct conn *conn, uint64_t in_usec);
void loop_disarm(struct loop *loop, struct conn *conn);
