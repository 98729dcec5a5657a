/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Early warning for programs that give back by themselves: systemd's memory pressure
 * protocol, by RUNTIME/pressure. A program connects (MEMORY_PRESSURE_WATCH= names the
 * socket), may write what it likes (MEMORY_PRESSURE_WRITE=, a threshold: ours count), and
 * reads a byte whenever its group is short of memory, at most every two seconds. It needs
 * no hook. Which group it is in the kernel tells, not the program.
 */

#include "agent/core/state.h"

/* Connections altogether, and of each user but root; more are closed at once. */
#define WARNER_MAX 1024
#define WARNER_PER_UID_MAX 64

/*
 * @activated_fd: a listening stream socket from the service manager, or -1 to make our own
 * (mode 0666). Without it all else works, so failure is logged at debug level only.
 */
void warner_open(struct manager *manager, int activated_fd);
void warner_close(struct manager *manager);

/* Tells those in the group, if its state is one to tell of. */
void warner_tell(struct guard *guard, uint64_t now_usec);
/* Follows those that were moved to another group. */
void warner_check(struct guard *guard);
/* Closes the group's connections. */
void warner_forget(struct guard *guard);
