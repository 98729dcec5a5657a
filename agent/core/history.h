/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What was done for a group, and what releases taught of a process: nothing, of nearly all. Each
 * has its place from the start (basic/sparse.h), which nobody looks at before there is something
 * in it: a kernel may give memory to whoever only reads.
 */

#include "agent/core/state.h"

/* -ENOMEM: there is no place. */
int history_new(struct guard *guard);
void history_free(struct guard *guard);

/* To look at. */
const struct history *history_of(const struct guard *guard);
/* To write to; takes no memory that history_make_ready() has not taken. */
struct history *history_note(struct guard *guard);

/* The same of a process; to look at them there is member_lessons(). */
int history_new_lessons(struct peer *peer, struct manager *manager);
void history_free_lessons(struct peer *peer, struct manager *manager);
struct lessons *history_note_lessons(struct peer *peer);

/* A crisis may have no memory to give: the group's, and that of its processes. */
void history_make_ready(struct guard *guard);
