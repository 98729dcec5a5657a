/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the WHAT of a command means: a process, a unit or the path of a cgroup; "" is all. */

#include "agent/core/state.h"

bool target_is_guard(const struct guard *guard, const char *what);
bool target_is_peer(const struct peer *peer, const char *what);

/* A pid stands for its group where a group is wanted. */
bool target_is_in(const struct guard *guard, const char *what);

/* Of a group that is gone, by its unit or path. */
bool target_is_name(const char *name, const char *what);
