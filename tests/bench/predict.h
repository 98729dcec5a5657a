/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Heaps in many states, for predict.c; each is made in a process of its own. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often a state is made in its process, and released. */
#define ROUNDS 2

enum spread {
	FIXED,    /* all blocks of the least size */
	EVEN,     /* any size in between is as likely */
	LOGARITHMIC, /* any order of magnitude is */
};

enum after {
	UNSORTED, /* nothing: as right after a mass free */
	SORTED,   /* the program goes on allocating a little */
	REUSED,   /* a third of it is allocated and touched again */
	TRIMMED,  /* trimmed, then a third allocated and freed again */
};

enum huge {
	NO_HUGE,
	HUGE_HEAPS,   /* madvise() on the heaps */
	HUGE_TUNABLE, /* glibc.malloc.hugetlb=1 */
};

/* As large as half of all the blocks, freed beside the top. */
enum top {
	NO_TOP,
	TOP_TOUCHED,
	TOP_UNTOUCHED,
};

struct state {
	const char *name;
	unsigned int n_arenas; /* 1: the main arena; else one thread each, and no main */
	unsigned int mib;      /* in all */
	enum spread spread;
	uint32_t least, most;
	uint32_t pin_bytes;    /* a survivor behind each block; 0: none */
	unsigned int keep_percent; /* of the blocks, at random */
	bool shuffle;          /* the order of freeing */
	enum after after;
	enum huge huge;
	enum top top;
	bool forked;
	bool busy;             /* two threads allocate and free small pieces meanwhile */
	bool untouched;        /* a quarter of what survives was never written to */
};

extern const struct state states[];
extern const size_t n_of_states;

/*
 * The process: makes the heap, writes "r" to standard output, and waits for a byte on its
 * standard input before the next round. Never returns an error: it ends the process.
 */
int subject(const struct state *state);
