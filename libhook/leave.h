/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The agent is gone before the main thread is. libc ends a program with its last thread, and
 * counts the agent: what ends last must be a thread of the program's own, which has its
 * descriptors. Where any of this cannot be had, the agent sees the end when it looks.
 */

#include <stdbool.h>

/*
 * On a thread of the program, before the agent is made. Where that is the main thread, libc calls us
 * when it ends by pthread_exit(), thrd_exit() or pthread_cancel(): not at exit().
 */
void leave_prepare(void);

/* The agent's thread was made. */
void leave_expect(void);

/*
 * On the agent's thread, with its own table of descriptors: what becomes readable when it
 * shall leave; -1. It may ring falsely.
 */
int leave_bell(void);

/* On the agent's thread: nobody has to wait for it, since it leaves by itself. */
void leave_done(void);

/* The main thread is at its end, and waits. */
bool leave_asked(void);
