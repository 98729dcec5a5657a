/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The second look: what is left, a minute later, of what a round released, and what it cost
 * to take the rest again. It comes sooner when another round begins to ask, since from then
 * on nobody could tell the two apart.
 */

#include "agent/core/state.h"

/* A round has ended with @outcome: if members released, they are looked at again. */
void second_look_plan(struct guard *guard, struct outcome *outcome);

bool second_look_is_due(const struct guard *guard, uint64_t now_usec);

/* Takes it, if one was planned; processes and group were looked at in this turn of the loop. */
void second_look_take(struct guard *guard);

/* The group ends: if one was planned, there is nothing to be looked at. */
void second_look_lose(struct guard *guard);
