/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a round that is under way is at: from this and the group policy/yield decides. */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/decision.h"
#include "agent/model/member.h"

struct running {
	enum reason reason;          /* why its members were chosen */
	bool rushed;                 /* and the limit was near in time then */
	const struct member *member; /* whose answer is due; NULL: nobody's */
	enum method method;          /* by which that one was asked */
	uint64_t asked_usec;         /* and when; CLOCK_MONOTONIC */
};
