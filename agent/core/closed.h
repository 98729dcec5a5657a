/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is said of connections that are closed. Any user can be closed as often as he likes,
 * and shall fill nobody's journal: of each kind one line a minute says it, and how many there were besides.
 */

#include "agent/core/state.h"

void closed_tell(struct manager *manager, const struct conn *conn, enum conn_end end);

/* A listener_refuse_t. @userdata: struct manager. */
void closed_refused(int error, pid_t pid, uid_t uid, void *userdata);

/*
 * Somebody of @uid who wanted to hear of pressure was sent away. -EREMOTE: he has no number
 * in this pid namespace; -EDQUOT, -EUSERS: he, or all, have as many as may be.
 */
void closed_hearer(struct manager *manager, int error, uid_t uid);
