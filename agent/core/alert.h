/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Exec=: the operator's command, when a group is about to be killed. */

#include "agent/core/state.h"

/*
 * Starts Exec= of the group, if it has one, without waiting for it and at most once per
 * CooldownSec=. It gets MEMGUARD_GROUP, MEMGUARD_UNIT, MEMGUARD_USAGE_BYTES,
 * MEMGUARD_LIMIT_BYTES and MEMGUARD_RELEASED_BYTES.
 */
void alert_run(struct guard *guard, const struct outcome *outcome);
