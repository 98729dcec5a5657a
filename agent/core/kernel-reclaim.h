/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The step of the ladder after release and tune: where MemoryReclaim= is set, the kernel is made to
 * swap out what a release could not give back. It takes long, so the helper waits for it.
 */

#include "agent/core/state.h"
#include "agent/policy/ladder.h"

/* Is it due, and why not. Reads the group's swap where anybody wants it. */
struct rung kernel_reclaim_look(const struct guard *guard);

/*
 * Begins it if it is due; after a round. It holds rounds, but for those of commands, until it ends: what
 * each gives could not be told apart. Not for longer than it may take, should the kernel wait for a disk.
 */
void kernel_reclaim_run(struct guard *guard);
bool kernel_reclaim_is_under_way(const struct guard *guard);
bool kernel_reclaim_holds(const struct guard *guard);

/* It has ended: as exec_handler.on_reclaimed. @userdata: struct manager. */
void kernel_reclaim_end(uint64_t group_id, int error, void *userdata);
