/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Limits that somebody writes: of each group and all above it the file of the limit is
 * watched by inotify, so that a group at rest, which is seldom read, need not be read for
 * that. Kernel files tell this way what is written to them through the file system, and
 * nothing changes a limit otherwise. Where it cannot be watched the next reading notices.
 */

#include "agent/core/state.h"

/* Without it all else works. */
void limits_start(struct manager *manager);
void limits_stop(struct manager *manager);

/* From now on, and no longer. */
void limits_watch(struct guard *guard);
void limits_forget(struct guard *guard);
