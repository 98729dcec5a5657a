/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Alerts: to the journal and the bus, and Exec=, the operator's command. */

#include "agent/core/state.h"

/*
 * Starts Exec= of the group, if it has one, without waiting for it and at most once per
 * CooldownSec=. It gets MEMGUARD_GROUP, MEMGUARD_UNIT, MEMGUARD_USAGE_BYTES,
 * MEMGUARD_LIMIT_BYTES and MEMGUARD_RELEASED_BYTES.
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
