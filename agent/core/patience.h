/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One timer for all rounds that wait for somebody: when to look after whom. */

#include "agent/core/state.h"

/* Makes it, so that no round has to allocate. */
int patience_prepare(struct manager *manager);

/* The round of @guard is looked after in that time, and not before: round_look_after(). */
void patience_plan(struct guard *guard, uint64_t usec);
