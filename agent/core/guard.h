/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One group, live: its kernel files, timers, and the look that starts rounds. */

#include "agent/basic/macro.h"
#include "agent/core/state.h"

/* The guard of the process's group, made if need be. */
int guard_for_pid(struct manager *manager, pid_t pid, struct guard **ret);
/* For `run` without a cgroup: of manager->command. */
int guard_for_command(struct manager *manager, struct guard **ret);
struct guard *guard_free(struct guard *guard);
/* The one of the group with this id, or NULL. */
struct guard *guard_find(struct manager *manager, uint64_t id);

void guard_add_peer(struct guard *guard, struct peer *peer);
void guard_remove_peer(struct guard *guard, struct peer *peer);

/* Its settings in @config, as config_settings(). Tells where overrides contradict each other. */
int guard_find_settings(const struct guard *guard, struct config *config,
			const struct group_settings **ret);

/* Takes the settings of manager->config, and arms anew. Negative: none could be had. */
int guard_configure(struct guard *guard);

/* Reads the group now; the last reading stays when it cannot be read. */
int guard_read(struct guard *guard);
/*
 * The same in two parts: what policy/gate and pick go by, and what is only told. The second may
 * be left for after the question; until then its figures are those of the reading before.
 */
int guard_read_first(struct guard *guard);
void guard_read_rest(struct guard *guard);
/* Reads the facts of the group's processes; lets go of those that were moved elsewhere. */
void guard_survey(struct guard *guard);
/* Sums up what is known of the members: all of it, and what is kept of that. */
void guard_sum(const struct guard *guard, struct sums *ret);
void guard_sum_heaps(struct guard *guard);
void guard_diagnose(const struct guard *guard, uint64_t now_usec, struct diagnosis *ret);

/* Each group is a guard's. */
static inline const struct guard *guard_of(const struct group *group)
{
	return (const struct guard *)((const char *)group - offsetof(struct guard, group));
}

/* Usage that has changed by this much may be something new. */
#define GUARD_MOVED_BYTES (1 * MIB)

/* Where UsageHigh= is. */
uint64_t guard_high_bytes(const struct guard *guard);

/* Senses, lets policy step, begins a round when it says so, and plans the next look. */
void guard_look(struct guard *guard);
/* The same when it is time, unless nothing can have changed since: then false. */
bool guard_sample(struct guard *guard);
/* Have that done soon from the loop. */
void guard_look_soon(struct guard *guard, uint64_t in_usec);
