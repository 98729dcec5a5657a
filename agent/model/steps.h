/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The steps that may be taken for a group, the mildest first, and how often each was. An hour
 * is counted in parts of five minutes and is never less than one: no step is taken more
 * often in any hour than it may be.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/decision.h"

enum step {
	STEP_RELEASE, /* a round asks members */
	STEP_TUNE,    /* [Tune], for members of a group that keeps coming back */
	STEP_RECLAIM, /* the kernel swaps out, by its memory.reclaim */
	STEP_ALERT,   /* somebody is told; policy/warn says when */
	STEP_COMMAND, /* Exec= */
	STEP_MAX_,
};

#define STEPS_SLOT_USEC (UINT64_C(300) * 1000000)
#define STEPS_SLOTS 13

struct steps {
	struct {
		uint64_t last_usec; /* 0: never */
		uint32_t slot;      /* number of the newest one */
		uint16_t n[STEPS_SLOTS]; /* by number, modulo */
	} all[STEP_MAX_];
};

/* Is a step to be taken, and why, or why not. */
struct rung {
	bool due;
	enum reason reason;
};

/* @now_usec must not be less than before; if it is, it counts as then. */
void steps_count(struct steps *steps, enum step step, uint64_t now_usec);
/* When it was last taken, and how often within the last hour. 0: never; NULL: no step ever. */
uint64_t steps_last_usec(const struct steps *steps, enum step step);
uint32_t steps_n(const struct steps *steps, enum step step, uint64_t now_usec);

/* "release": stable, in JSON. */
const char *step_to_string(enum step step);
