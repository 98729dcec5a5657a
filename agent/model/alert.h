/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an administrator wants to be told of a group without asking, and when it last was. */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/diagnosis.h"

enum alert_kind {
	ALERT_USAGE_CRITICAL, /* above UsageCritical=, and releases have not changed that */
	ALERT_KILL_NEAR,      /* the limit will be reached soon, at the growth of late */
	ALERT_OOM_KILL,       /* the kernel killed in the group, or beside it for a limit it shares */
	ALERT_NOT_PAYING,     /* near the limit, and releases give too little */
	ALERT_MAX_
};

/* While the trend leads to the limit: how it has really grown since. All zero: it does not. */
struct alert_near {
	uint64_t since_usec;
	uint64_t bytes;      /* usage then */
	uint64_t part_usec;  /* when the part of that time began which is not over */
	uint64_t part_bytes; /* usage then */
	uint64_t grown_usec; /* when the last part ended in which it grew enough */
	uint64_t n_grown;    /* such parts */
};

#define CLIMB_SPANS 16

/* How far it has been used at least, while that is no news at once; by policy/climb. */
struct alert_climb {
	uint32_t limit_key;         /* of the limit that these are shares of; 0: of none */
	uint32_t span_msec;         /* when the span began that is not over; the low bits */
	uint8_t lows[CLIMB_SPANS];  /* in each, the newest first; 0: not known */
};

/*
 * What was said of a group, so that it is not said again and again. Kept by policy/warn; all
 * zero for as long as there is nothing to say. Without padding: core compares it as bytes.
 */
struct alert_memory {
	struct {
		uint64_t since_usec; /* it has been so since; 0: it is not so */
		uint64_t told_usec;  /* when it was last told; 0: never */
		uint32_t gap_usec;   /* from then on, before it may be told again; up to an hour */
		uint32_t n_held_back; /* times it was so and was not told, since then */
	} kinds[ALERT_MAX_];
	uint32_t told;            /* this time: bits of enum alert_kind */
	uint16_t n_near;          /* times ALERT_KILL_NEAR was told, and no kill since */
	uint16_t killed_level;    /* of killed_limit_bytes, as group.limit_level */
	uint64_t peak_bytes;      /* most usage since ALERT_KILL_NEAR was told */
	uint64_t top_bytes;       /* the same since it last fell, be it of a danger that is not told yet */
	struct alert_near near;
	struct alert_climb climb;
	uint64_t n_oom_kill;      /* since the group's first_oom_kill, when that was last told */
	uint64_t n_oom_seen;      /* and at the last look */
	uint64_t killed_usec;     /* when that last rose; 0: never. Also of the group before of this name */
	uint64_t killed_limit_bytes; /* and the limit then */
	uint64_t n_beside;        /* the group's shared.n_kills, when that was last told */
};

/* One alert about a group; what else is to be said of it is in the group. */
struct alert {
	enum alert_kind kind;
	uint64_t n_oom_kills;   /* since the last one that was told; ALERT_OOM_KILL only */
	uint64_t n_beside;      /* likewise, in other groups for a limit that it shares */
	uint64_t n_held_back;   /* of this kind, since the last one */
	int64_t growth_bytes_per_sec; /* of the moment, or of a minute where growth rests or hides */
	uint64_t eta_usec;      /* until it has reached the limit; USEC_INFINITY: it will not */
	const char *verdict;    /* the disease, and a sentence about it */
	const char *verdict_text;
	struct heap_use use;    /* as of that */
};

const char *alert_kind_to_string(enum alert_kind kind);
