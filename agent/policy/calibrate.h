/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What releases of a process teach about the next one. Answers are claims: each is bounded
 * before it is learnt from, so that a lie can make a release seem eight times shorter or 64
 * times longer than the model says, and as if borrowing gave nothing,
 * for the liar alone. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/member.h"

/* The time of a full trim as @c has it, where the model says @usec. */
uint64_t calibrate_full(const struct calibration *c, uint64_t usec, bool busy);

/* Corrects @forecast, as the model has it, by what borrowing did so far. */
void calibrate_borrow(const struct calibration *c, struct forecast *forecast);

/*
 * Takes a release in. @usec: what the model says of a full trim that releases as much as
 * this one did. @bytes: what it says borrowing would release.
 */
struct calibration calibrate_add_full(const struct calibration *c,
				      const struct wire_reclaim_reply *reply, uint64_t usec,
				      bool busy);
struct calibration calibrate_add_borrow(const struct calibration *c,
					const struct wire_reclaim_reply *reply,
					uint64_t bytes);
