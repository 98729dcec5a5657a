/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One epoll for a file that each group has: a source of its own takes a third of a kilobyte.
 * Not for a file whose readiness ends by being asked for, as that of a PSI trigger does: whether
 * there is anything in this epoll is asked before what it is.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

struct guard;

typedef void (*bell_ring_t)(struct guard *guard, uint32_t revents);

struct bell {
	sd_event_source *source; /* NULL: not open */
	int epoll_fd;
	bell_ring_t ring; /* may free the guard */
};

/* @name: of its source, for who looks at the loop; it goes first with the most urgent ones. */
int bell_open(struct bell *bell, sd_event *event, const char *name, bell_ring_t ring);
void bell_close(struct bell *bell);

/* @events as of epoll; with EPOLLONESHOT until bell_again() with the same. */
int bell_watch(struct bell *bell, int fd, uint32_t events, struct guard *guard);
int bell_again(struct bell *bell, int fd, uint32_t events, struct guard *guard);
/* Before @fd is closed: a child may still have it. */
void bell_unwatch(struct bell *bell, int fd);
