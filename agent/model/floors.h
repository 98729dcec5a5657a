/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The least that a process had in use, span by span of its whole time under guard: what
 * rises there is never given back. Of fixed size: when the slots are used up pairs become
 * one and spans twice as long, up to FLOORS_SPAN_MAX_USEC; from then on the oldest goes.
 */

#include <stdint.h>

#define FLOORS_SLOTS 16
#define FLOORS_SPAN_MIN_USEC (UINT64_C(250) * 1000)
#define FLOORS_SPAN_MAX_USEC (UINT64_C(4) * 3600 * 1000000)

struct floors {
	uint64_t begin_usec;         /* of slot 0; CLOCK_MONOTONIC */
	uint32_t n;                  /* figures that were taken in, ever */
	uint32_t kib[FLOORS_SLOTS];  /* least in use + 1; 0: no figure in that span */
	uint8_t n_doubled;           /* times that spans became twice as long */
};

/* What they show, as four parts of the same number of spans each. */
struct rise {
	uint64_t first_bytes; /* least of the first part */
	uint64_t last_bytes;  /* of the last part */
	uint64_t span_usec;   /* from the first figure to the last */
	uint32_t n;           /* spans with figures; below FLOORS_ENOUGH: too few to judge */
	uint32_t n_figures;
	uint64_t last_step_bytes;  /* to the last part */
	uint64_t least_step_bytes; /* of the three from part to part; 0: one does not rise */
};

#define FLOORS_ENOUGH 6

/* A figure from before all that are kept is left out. */
void floors_add(struct floors *floors, uint64_t in_use_bytes, uint64_t now_usec);
/* @last_usec: of the newest figure. */
struct rise floors_rise(const struct floors *floors, uint64_t last_usec);
