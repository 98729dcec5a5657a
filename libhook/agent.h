/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The hook's one thread: connects out, answers, waits. Sees none of the program's descriptors. */

#include "libhook/weak.h"

#include <stdbool.h>

#include "libhook/serve.h"

typedef int (*agent_create_t)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/*
 * Is there a filter on this thread, which is the main one or not? 0 none, > 0 one, -errno: it cannot
 * be known. Calls openat(), read() and close(), and nothing else.
 */
int agent_filter(bool is_main);

/* Constructor only: libc takes the static TLS of all objects from every thread's stack. */
size_t agent_tls_bytes(void);

/*
 * Starts the thread with the program's own pthread_create. @host lives for ever.
 * On failure nothing happened, and nobody is told.
 */
void agent_start(struct host *host, agent_create_t create);
