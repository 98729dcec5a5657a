/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * When each group is looked at next: one timer for all of them, so that looks which may
 * wait fall together, and thousands of groups cost no more wake-ups than one.
 */

#include <stdint.h>

struct guard;
struct manager;

int pace_start(struct manager *manager);
void pace_stop(struct manager *manager);

/* Room for one more group. */
int pace_reserve(struct manager *manager);

/* guard_sample() is called then. Replaces what was planned. */
void pace_plan(struct guard *guard, uint64_t at_usec);
void pace_cancel(struct guard *guard);

/* Moves a time at least one step ahead down to where other looks are, too. */
uint64_t pace_round(uint64_t now_usec, uint64_t in_usec);

/*
 * Bytes that the machine has handed out so far, as of this turn of the loop; infinity when
 * that is not known.
 */
uint64_t pace_allocated(struct manager *manager);
