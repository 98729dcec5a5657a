/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One pass from a trigger to an outcome. The only file that knows the order:
 * survey, pick, ask one after the other, read again, record, report. In a group of many
 * members that is near its limit the best one is asked before the survey.
 */

#include "agent/core/state.h"

/* Has the pages of those that come first. */
void round_touch(void);

/*
 * Begins a round of @guard, which has none running. @only: this process alone, or 0.
 * @command: told the outcome; or NULL. Ends in exactly one outcome, maybe before it returns.
 * -EAGAIN: there is no memory for it; not begun.
 */
int round_begin(struct guard *guard, enum reason trigger, pid_t only, struct command *command);

/*
 * The gate of @guard is open: begins a round for that reason, or lets the one that is under way
 * give way to it.
 */
void round_trigger(struct guard *guard, enum reason trigger);

/* What to ask of @pick, by how near a kill is; returns how long to wait for the answer. */
uint64_t round_order(const struct guard *guard, const struct pick *pick, struct reclaim *ret);

/* @peer has been sent the question: the round waits for its answer. */
void round_await(struct guard *guard, struct peer *peer, const struct pick *pick);

/* Its patience is at an end: see patience.h. */
void round_look_after(struct guard *guard);

/* A member has answered another question: a round that waited for that goes on. */
void round_go_on(struct guard *guard);

/* A round that is under way asks nobody else, and ends when nobody's answer is due. */
void round_stop(struct guard *guard);
