/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the agent's thread may do, against what the program's main thread may. */

#include <stdbool.h>

/*
 * False: the main thread has given up capabilities for itself alone, or put itself alone
 * under a filter, and this thread would keep what the program meant to lose; or the two
 * differ in what set*id() needs, so that libc would end the program for their different
 * results. Then this thread must not stay. True also where nothing can be learnt.
 * Opens a descriptor: only on the agent's thread.
 */
bool rights_agree(void);

/*
 * Has thread @tid (0: this one) real-time priority? Neither way of sharing an allocator's locks with such
 * threads is right: with their priority a release would keep a processor from them, and without it
 * they would wait for a thread that others keep from its processor.
 */
bool rights_real_time(int tid);

/*
 * The program can change its ids, and carries a library to change the capabilities of a thread: it
 * may do the one right after the other, which with an agent that still has all of them libc
 * answers by ending it. Opens no descriptor.
 */
bool rights_may_part(void);
