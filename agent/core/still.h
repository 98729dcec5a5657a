/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a group is as its last look left it, for as little as can be read. */

#include "agent/core/state.h"

/* A look would find what the last one found. Reads usage when that has not been for long. */
bool still_holds(struct guard *guard, uint64_t now_usec);
