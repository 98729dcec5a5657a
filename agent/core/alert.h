/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Alerts: to the journal and the bus, and Exec=, the operator's command. */

#include "agent/core/state.h"

/*
 * Has Exec= of the group started (exec.h), if it has one: at most once per CooldownSec= and
 * MaxPerHour= times, and not while the last one runs. Where others share its limit and have the same
 * command one is for all, and of the one that has the most. @outcome of the round that ended; NULL:
 * the group is critical and none may begin. What it is told stands in memguard.conf(5).
 */
void alert_run(struct guard *guard, const struct outcome *outcome);

/* After each reading of the group: tells what is worth an alert, never twice in a row. */
void alert_look(struct guard *guard);

/*
 * A unit that is restarted gets a new group of the old name, and must not begin to be told of
 * anew: to be called when a guard begins and when it ends.
 */
void alert_recall(struct guard *guard);
void alert_remember(const struct guard *guard);
