/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whom to ask, for what, and why; or why nobody. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Why a gate opened or stayed closed, and why a round asked nobody. Never renumber. */
enum reason {
	REASON_NONE,
	/* open */
	REASON_COMMAND,        /* somebody asked for it */
	REASON_USAGE_HIGH,
	REASON_USAGE_CRITICAL,
	REASON_OOM_ETA,        /* the limit will be reached too soon */
	REASON_PRESSURE,       /* PSI */
	REASON_RETAINED,       /* calm, retained memory is large */
	/* closed */
	REASON_BELOW,          /* below every threshold */
	REASON_COOLDOWN,       /* the last round is too fresh */
	REASON_BACKOFF,        /* recent releases did not pay */
	REASON_OBSERVE,        /* Mode=observe */
	REASON_NO_MEMBERS,     /* nobody in the group carries the hook */
	REASON_NOT_WORTH,      /* expected release below MinRelease= */
	REASON_STALL,          /* would stall a busy program longer than StallBudgetMSec= */
	REASON_BUSY,           /* a round of this group is running */
	REASON_MAX_,
};

/* "usage-high": stable, in JSON and journal. */
const char *reason_to_string(enum reason reason);
/* "usage is above UsageHigh=": a clause for people. */
const char *reason_to_text(enum reason reason);
/* -EINVAL when unknown. */
int reason_from_string(const char *s, enum reason *ret);

#define DECISION_PICKS_MAX 64

struct pick {
	pid_t pid;
	uint64_t start_time;     /* clock ticks since boot, as in /proc/PID/stat */
	uint64_t expected_bytes;
	uint64_t stall_usec;     /* predicted, longest */
};

struct decision {
	bool act;
	enum reason reason;
	uint64_t expected_bytes;
	unsigned int n_picks;
	struct pick picks[DECISION_PICKS_MAX]; /* in the order in which to ask */
};
