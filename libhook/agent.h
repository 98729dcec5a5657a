/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The hook's one thread: connects out, answers, waits. Sees none of the program's descriptors. */

#include "libhook/weak.h"

#include <stdbool.h>

#include "libhook/serve.h"

typedef int (*agent_create_t)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/*
 * May a thread be added here? Looks at the things that make it harmful; called on a
 * thread of the program, before its first pthread_create where that can be.
 */
bool agent_allowed(void);

/* What agent_allowed() found: 0 no filter on this thread, > 0 one, -errno: it cannot be known. */
int agent_filter(void);

/* Constructor only: libc takes the static TLS of all objects from every thread's stack. */
size_t agent_tls_bytes(void);

/*
 * Starts the thread with the program's own pthread_create. @host lives for ever.
 * On failure nothing happened, and nobody is told.
 */
void agent_start(struct host *host, agent_create_t create);
