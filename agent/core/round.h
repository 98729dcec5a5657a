/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One pass from a trigger to an outcome. The only file that knows the order:
 * survey, pick, ask one after the other, read again, record, report.
 */

#include "agent/core/state.h"

/* Makes what rounds need, so that none has to allocate. */
int round_prepare(struct manager *manager);

/* What a round of @guard would decide now, without one. */
void round_plan(const struct guard *guard, struct decision *ret);

/*
 * Begins a round of @guard, which has none running. @only: this process alone, or 0.
 * @command: told the outcome; or NULL. Ends in exactly one outcome, maybe before it returns.
 * -EAGAIN: too many rounds are under way; not begun.
 */
int round_begin(struct guard *guard, enum reason trigger, pid_t only, struct command *command);

/* A member has answered another question: a round that waited for that goes on. */
void round_go_on(struct guard *guard);

/* A round that is under way asks nobody else, and ends when nobody's answer is due. */
void round_stop(struct guard *guard);
