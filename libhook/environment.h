/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the administrator said at exec: read once, in the constructor. Values that do not
 * parse are ignored, marked in bad, and later reported to the daemon: never printed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libhook/wire.h"

enum agent_mode {
	AGENT_AUTO,   /* in multi-threaded programs and in the named process */
	AGENT_ALWAYS, /* in every process from its start */
	AGENT_OFF,
};

/*
 * Functions of the executable by their offset in it: jemalloc's mallctl under its three prefixes,
 * and what google/tcmalloc releases by.
 */
#define ENVIRONMENT_SYMBOLS 4
#define ENVIRONMENT_SYMBOL_GOOGLE 3
#define ENVIRONMENT_BUILD_ID_MAX 32
struct environment_symbols {
	unsigned char build_id[ENVIRONMENT_BUILD_ID_MAX];
	uint32_t n_build_id; /* 0: nothing was said */
	uint64_t offsets[ENVIRONMENT_SYMBOLS]; /* 0: none */
};

struct environment {
	enum agent_mode mode;
	bool bad;             /* something did not parse */
	bool named;           /* this very process was named */
	char socket[108];     /* path; a copy, since programs write their titles over the original */
	bool borrow_unsafe;             /* malloc fills, tags or keeps what we would borrow */
	bool huge_pages;                /* the heap has them from hugetlbfs */
	bool uncached;                  /* glibc's caches of threads are off */
	uint64_t knobs[WIRE_KNOB_MAX_]; /* MEMGUARD_MALLOPT */
	uint32_t knobs_set;   /* bits 1 << enum wire_knob */
	uint32_t env_tuned;   /* knobs the operator's own variables set */
	uint32_t env_decay;   /* bits of allocators whose decay they set */
	uint32_t arena_test;  /* up to so many arenas glibc has not fixed their limit */
	struct environment_symbols symbols; /* MEMGUARD_SYMBOLS */
};

/* False: MEMGUARD=off, raised rights, or there is no environment to be read; then do nothing at all. */
bool environment_read(struct environment *ret, int pid);

/* "arena_max=2,mmap_threshold=1M": pure. False when any part did not parse. */
bool environment_parse_knobs(const char *s, uint64_t knobs[static WIRE_KNOB_MAX_], uint32_t *ret_set);

/* "BUILDID:mallctl=HEXOFFSET,...": pure. False, and @ret empty, when any part did not parse. */
bool environment_parse_symbols(const char *s, struct environment_symbols *ret);
