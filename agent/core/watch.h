/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The kernel's own words about a group: a v1 usage threshold, memory.events, PSI. Each leads
 * to a look; where one cannot be had, sampling has to do.
 */

#include "agent/core/state.h"

/* What the ropes do, those of the machine, too. */
extern const bell_ring_t watch_rings[RING_MAX_];

/* Before anything is armed. -ENOMEM. */
int watch_prepare(struct guard *guard);
/* v1: disarms what else is. */
void watch_end(struct guard *guard);

/*
 * v1: at UsageHigh=, whose place moves with the limit and the page cache. Does nothing while
 * that is awaited, and where the kernel was given enough of such work.
 */
void watch_arm_threshold(struct guard *guard);
/* Will the kernel tell when UsageHigh= is reached? */
bool watch_is_awaited(const struct guard *guard);

/* v1: memory.pressure_level, unless PressureSome=0. */
void watch_arm_level(struct guard *guard);

/* By PressureSome=. Does nothing while the trigger is as it should be. */
void watch_arm_pressure(struct guard *guard);
void watch_disarm_pressure(struct guard *guard);

/* v2, once for a group: the next change of memory.events; then the next one after a look. */
void watch_arm_events(struct guard *guard);
void watch_await_events(struct guard *guard);
void watch_disarm_events(struct guard *guard);
