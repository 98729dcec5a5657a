/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A round that gives way: policy/yield says when. Who is being borrowed from is sent the urgent
 * question at once, behind the one that it is at; the others are chosen anew when that has its end.
 */

#include "agent/core/state.h"

/* Has the pages that it will need. */
void hurry_touch(void);

/* The gate of @guard is open, and a round under way. Its round may have ended afterwards. */
void hurry_look(struct guard *guard);
