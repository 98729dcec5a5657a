/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/core/state.h"

/*
 * guard_diagnose(), and where most is not malloc's also what it is: for people who ask. That takes
 * a look at each process and a few files, so no round and no alert does it.
 */
void beside_diagnose(const struct guard *guard, uint64_t now_usec, struct diagnosis *ret);
