/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The live members of a group as policy takes them, and what it makes of them. */

#include "agent/core/state.h"

struct choice {
	const struct member *const *members; /* until the next call */
	size_t n;
};

/* A crisis may have no memory to give. */
void choice_touch(void);

/* Whatever becomes of @pid from now on, in @choice it stays as it is; until the next call. */
void choice_keep(struct choice *choice, pid_t pid);

/* True when a round, near the limit, has to ask before all its members can be looked at. */
bool choice_is_large(const struct guard *guard);

/* Fills in the decision of the round of @guard, by what is known of the members now. */
struct choice choice_make(struct guard *guard);

/* The same behind those picks that have been asked, which stay. */
struct choice choice_make_others(struct guard *guard);

/* What a round of @guard would decide now, without one. */
void choice_plan(const struct guard *guard, struct decision *ret);
