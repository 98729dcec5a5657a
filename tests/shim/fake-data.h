/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A daemon that guards nothing: canned groups and members behind the real bus, for tests
 * of the bus and of memguardctl. All of a world's figures are fixed but for times.
 */

#include "agent/report/bus.h"

#define FAKE_GROUPS 3
#define FAKE_MEMBERS 4
#define FAKE_HELD 16

struct fake {
	struct group groups[FAKE_GROUPS];
	struct benefit benefits[2]; /* of the first of them */
	struct outcome outcome; /* of the first one */
	struct member members[FAKE_MEMBERS];
	size_t group_of[FAKE_MEMBERS];
	size_t n_groups; /* shown; 0: an idle daemon */
	const char *config_error; /* what reload answers; NULL: good */
	bool has_kill; /* in the first group */
	bool is_contained; /* whoever calls is in a container */
	size_t n_times; /* each member is told so often; 0 is once */

	/* What was asked of it. */
	unsigned int n_shown, n_trimmed, n_tuned, n_reloaded;
	enum wire_knob knob;
	enum method method; /* of the last trim */
	uint64_t value;

	/* Keeps answers open instead of giving them. */
	bool hold;
	struct bus_reply *held[FAKE_HELD];
	size_t n_held;
};

extern const struct bus_handler fake_handler; /* userdata: struct fake */

/* @now_usec: CLOCK_MONOTONIC; @realtime_usec: CLOCK_REALTIME. */
void fake_init(struct fake *fake, uint64_t now_usec, uint64_t realtime_usec);
