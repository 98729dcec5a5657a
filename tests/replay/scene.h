/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The facts of a *.round file, step by step, and what is expected of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/model/outcome.h"
#include "agent/model/running.h"
#include "agent/model/steps.h"
#include "agent/policy/benefit.h"
#include "agent/policy/gate.h"

#define MEMBERS_MAX 4096
#define LINE_MAX_BYTES 2048

/* What a step must come to; compared as text. */
enum expectation {
	EXPECT_GATE_STATE,
	EXPECT_REASON,
	EXPECT_ACT,
	EXPECT_PICKS,
	EXPECT_METHODS,
	EXPECT_NEEDED,
	EXPECT_YIELD,
	EXPECT_MAX_,
};

struct scene {
	const char *file;
	unsigned int line;
	unsigned int n_steps;
	unsigned int n_wrong;
	bool started; /* the present step holds a line */

	uint64_t now_usec;
	struct group_settings settings;
	struct group group;
	struct benefit benefit;
	struct steps steps;
	size_t n_members;
	struct member members[MEMBERS_MAX];

	/* Of this step only. */
	struct signals signals;
	bool take_reading;
	bool command;
	bool has_outcome;
	struct outcome outcome;
	struct running running; /* its member by the next */
	uint32_t running_pid;
	bool expected[EXPECT_MAX_];
	char expect[EXPECT_MAX_][LINE_MAX_BYTES];
};

/* "expect.reason": as the file says it. */
extern const char *const scene_expect_keys[EXPECT_MAX_];

/* -EINVAL, and where and what on stderr. */
int scene_complain(const struct scene *scene, const char *what, const char *object);

/* One "key = value" goes where it belongs. @key is written to. -EINVAL: complained of. */
int scene_take(struct scene *scene, char *key, const char *value);
