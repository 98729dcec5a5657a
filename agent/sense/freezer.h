/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Somebody has frozen a control group: its processes sleep, and nothing of that is in their state. */

#include <stdbool.h>
#include <sys/types.h>

#include "agent/sense/cgroup.h"

/*
 * @cgroup, the group that is charged for the process, is frozen; on v1, where freezing has a
 * hierarchy of its own, the process's group in that. False too where nothing can be read.
 */
bool freezer_holds(const struct cgroup_root *root, const struct cgroup *cgroup, pid_t pid);
