/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The last kills by the kernel that were seen, of all groups, in a fixed ring of its own: who is
 * started and killed again and again pushes no rounds out of the ledger.
 */

#include <stddef.h>
#include <stdint.h>

#include "agent/model/diagnosis.h"
#include "agent/model/ledger.h"

#define KILLS_SIZE 64

struct kill {
	uint64_t group_id;
	uint64_t realtime_usec; /* when it was seen */
	uint64_t time_usec;     /* CLOCK_MONOTONIC */
	uint64_t n_processes;   /* by the kernel's count, since the last look */
	uint64_t usage_bytes;   /* the group's charge then, without what was killed */
	uint64_t limit_bytes;
	enum verdict verdict;   /* of the group, by what was known of it */
	uint32_t confidence_percent;
	char name[LEDGER_NAME_MAX]; /* as in the ledger */
};

struct kills {
	uint64_t n_appended; /* ever */
	struct kill kills[KILLS_SIZE];
};

void kills_append(struct kills *kills, const struct kill *kill);

/* @back 0 is the newest. NULL when there is none that far back. */
const struct kill *kills_at(const struct kills *kills, size_t back);
