/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The loop of the daemon: sd-event's, and beside it one epoll for the kernel files that each
 * group has, of which an event source takes a third of a kilobyte. Beside, not within: to be
 * asked whether it is ready is what ends the readiness of a PSI trigger (psi_trigger_poll() in
 * the kernel), and what is in one epoll in another is asked twice. Whose trigger it is must be
 * asked here alone.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

/* One file; part of whom it is about, of whom there are thousands. */
struct rope {
	uint8_t ring; /* which of bell.rings */
};

/* May free the rope. @revents from epoll. */
typedef void (*bell_ring_t)(struct rope *rope, uint32_t revents);

struct bell {
	sd_event *event; /* NULL: not open */
	int epoll_fd;
	const bell_ring_t *rings;
};

/* @rings must outlive the bell. */
int bell_open(struct bell *bell, sd_event *event, const bell_ring_t *rings);
void bell_close(struct bell *bell);

/* As sd_event_loop(). */
int bell_loop(struct bell *bell);
/* One turn of it; for at most @timeout_msec, -1: for ever. Negative errno, or 0. */
int bell_turn(struct bell *bell, int timeout_msec);

/* @events as of epoll; with EPOLLONESHOT until bell_again() with the same. */
int bell_watch(struct bell *bell, int fd, uint32_t events, struct rope *rope);
int bell_again(struct bell *bell, int fd, uint32_t events, struct rope *rope);
/* Before @fd is closed: a child may still have it. */
void bell_unwatch(struct bell *bell, int fd);
