/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Groups that are calm take turns: a walk over a heap takes a processor, and nothing is urgent. */

#include "agent/core/state.h"

/* Finds out how many may be released at once: half of the processors, and at least one. */
void turn_prepare(void);

/*
 * As many other groups as that are in a calm round: @guard is to wait. Of those that take long only the
 * same user's count.
 */
bool turn_is_crowded(const struct guard *guard);
