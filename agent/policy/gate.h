/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Is it time to look for help? Pure: no clock, no files, no log, no allocation.
 * The state belongs to the caller.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/group.h"

/* What woke us, beside the reading. */
struct signals {
	bool pressure; /* a PSI trigger of the group fired, or v1's memory.pressure_level */
	/* memory.events max or v1 failcnt rose since the last reading, or that of a limit it shares */
	bool limit_hit;
	bool machine; /* the machine's PSI trigger fired, and this group was chosen */
	bool crossed; /* v1: the kernel tells that usage has crossed a threshold that stands for UsageHigh= */
	bool crowded; /* as many other groups are in a calm round as may be at once */
};

/* From group (settings, reading, trend, heap, gate, benefit) and signals: the next. */
struct gate gate_step(const struct group *group, const struct signals *signals,
		      uint64_t now_usec);

/* True when a round should begin. Any state can be closed; then gate.reason says why. */
bool gate_is_open(const struct gate *gate);

/* What a round of a calm group is for: a part of it is free, or may be. */
bool gate_is_laden(const struct group *group);

/* Of the limit: usage below which the state HIGH ends; 0 where it never begins. */
uint32_t gate_end_permyriad(const struct group_settings *settings);

/* True when the limit will be reached so soon that there may be no second chance. */
bool gate_is_rushing(const struct group *group);

/* The shortest time between two rounds: CooldownSec=, cut short when a kill is near. */
uint64_t gate_soonest_usec(const struct group_settings *settings);
