/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is true of this process alone. The kernel empties it in the child of a fork (MADV_WIPEONFORK,
 * Linux 4.14), so that no call has to ask whose it is: such a call would be made on the program's
 * own threads at any time, also under a filter that came later; and in another pid namespace the
 * child may have the same number. Elsewhere what is written here tells the process by its pid.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libhook/start.h"

/* Threads under way at the same time; more start without an anchor. */
#define STARTS_MAX 64

struct anchor;

struct life {
	int has_agent; /* life_id() where it has an agent, or was refused one; atomic */

	/* leave.c */
	struct {
		int id;     /* the rest is of this process */
		int agent;  /* thread id; minus that, when it leaves by itself; or AGENT_...; atomic */
		bool asked; /* atomic */
		bool rings; /* libc will call when the main thread ends */
	} leave;

	/* anchor.c: whose blocks are taken, and in which process. */
	const struct anchor *taken; /* atomic */
	int taker;                  /* atomic */

	/* heap.c: whose errno is here is inside heap_read(), and reads what malloc_info() writes. */
	const int *reader; /* atomic */
	int reader_id;     /* life_id() */

	/* apart.c */
	struct {
		int fd;      /* descriptor + 1; 0 is none */
		long answer;
	} mark;

	struct start starts[STARTS_MAX];
} __attribute__((aligned(4096)));

extern struct life life;

/* Before anything is written here. Again: nothing. */
void life_prepare(uint32_t page_bytes);

/* Of this process: never 0. -1 where nothing was prepared. */
int life_id(void);
