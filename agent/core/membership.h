/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which group a peer belongs to, as of now: service managers and container runtimes move
 * processes after they have begun. A group is its cgroup id, never its path.
 */

#include "agent/core/state.h"

/*
 * Moves the peer to the guard of the group that its process is in, with all that is known
 * of it, unless it is there. True when it was moved; then it is in no list of the old guard
 * any more. One that is answering a question stays until it has.
 */
bool membership_check(struct peer *peer);

/* All of them: before somebody's command is matched against groups. */
void membership_check_all(struct manager *manager);

/*
 * The unit of the process, if the group @path is the unit's own: a slice, or the root where
 * the memory controller stops above the unit, is not. malloc'ed; NULL without one (no
 * systemd): then the path names the group. To a user's daemon units are the user's; to that
 * of the system they are all of user@UID.service.
 */
char *membership_unit(const struct manager *manager, pid_t pid, const char *path);
