/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pressure stall information: text to numbers, and kernel triggers with their traps. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct psi_line {
	uint32_t avg10_permyriad;
	uint32_t avg60_permyriad;
	uint32_t avg300_permyriad;
	uint64_t total_usec;
};

/* The "some" line of a memory.pressure text. 0, or -EINVAL. Pure. */
int psi_parse(const char *text, struct psi_line *ret_some);

/* The same of a file below @dirfd. -ENOENT: none; -EOPNOTSUPP: built in, but disabled. */
int psi_read(int dirfd, const char *path, struct psi_line *ret_some);

/* There are thousands, each within whom it is about. */
struct psi_trigger {
	int fd;                    /* -1: not open */
	uint32_t stall_usec;       /* what it was opened with */
	uint64_t armed_total_usec; /* of stalls when it was armed; infinity: events are believed */
};

#define PSI_TRIGGER_CLOSED { .fd = -1 }

static inline bool psi_trigger_is_open(const struct psi_trigger *trigger)
{
	return trigger->fd >= 0;
}

/*
 * Arms "some @stall_usec per 2 s" on @path below @dirfd (2 s: the only window family an
 * unprivileged process gets); to be polled for EPOLLPRI. -EOPNOTSUPP: PSI is built in but
 * disabled; -ENOENT: none; -EACCES, -EROFS: read only, so poll instead; -EINVAL: no such
 * stall, or no such file.
 */
int psi_trigger_open(int dirfd, const char *path, uint64_t stall_usec,
		     struct psi_trigger *ret);
/* Does nothing when it is not open. */
void psi_trigger_close(struct psi_trigger *trigger);

/*
 * What an event means: 1 real, 0 to be ignored (the kernel's false first event: the
 * total did not grow by the threshold), -ENODEV the group is gone (EPOLLERR): close it,
 * or it spins for ever. @revents from epoll.
 */
int psi_trigger_check(struct psi_trigger *trigger, uint32_t revents);
