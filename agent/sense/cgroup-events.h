/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the kernel counts of a limit at the group whose limit it is, which is not the one that is
 * read. These files are not kept open, and nobody waits for them: near a limit looks are frequent.
 */

#include "agent/model/group.h"

/*
 * Of the group @level above the one with directory @fd. On v2 hits are those of that limit alone,
 * where the kernel has memory.events.local (5.2); kills are those of all groups below it. On v1
 * both are that group's own. What is not there is 0, and @ret untouched where @level is 0.
 * -ENODEV: it is gone. On other failures @ret_name is the file that made no sense.
 */
int cgroup_events_read_above(int fd, enum group_kind kind, uint8_t level, const char **ret_name,
			     struct limit_events *ret);
