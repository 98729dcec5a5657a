/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Configuration values. Plain data: filled by agent/config, read by policy.
 * The table in agent/config/options.c is the only place that ties a key to a field.
 */

#include <stdint.h>

enum mode {
	MODE_TRIM,    /* act */
	MODE_OBSERVE, /* sense, decide and record, but ask nobody */
};

enum method {
	METHOD_AUTO, /* full or borrow or wait, by prediction and StallBudgetMSec= */
	METHOD_FULL, /* malloc_trim(0), whatever it costs */
	METHOD_BORROW, /* by ordinary allocation, a chunk at a time */
};

#define EXEC_MAX 256

/* What may differ from group to group. */
struct group_settings {
	enum mode mode;

	/* [Trigger] */
	uint32_t usage_high_permyriad;     /* of the effective limit */
	uint32_t usage_critical_permyriad; /* of the effective limit, above usage_high */
	uint32_t pressure_some_permyriad;  /* of a 2-s window; 0 is off */
	uint32_t machine_pressure_permyriad; /* the same of the machine; 0: not for its sake */
	uint64_t oom_eta_usec;             /* predicted time to the limit; 0 is off */
	uint64_t retained_high_bytes;      /* proactive release while calm; 0 is off */

	/* [Trim] */
	enum method method;
	uint64_t min_release_bytes; /* expected release below which asking is not worth it */
	uint64_t stall_budget_usec; /* predicted stall accepted while the group is calm */
	uint64_t cooldown_usec;     /* between two rounds of a group */
	uint64_t max_per_hour;      /* times that a step may be taken; 0: no matter how often */
	uint64_t reclaim_bytes;     /* the kernel swaps out so much at most, a time; 0: we let it be */

	/* [Tune]: applied once to every new member; 0 is "leave alone" */
	uint64_t tune_after; /* only after so many releases in a row that came to nothing */
	uint64_t arena_max;
	uint64_t mmap_threshold_bytes;
	uint64_t trim_threshold_bytes;
	uint64_t top_pad_bytes;
	uint64_t decay_usec; /* of allocators other than glibc's; below 1 ms: at once */

	/* [Alert] */
	/* command line started (without a shell) on a critical round; NULL: none */
	const char *exec_line; /* one for all that say the same, and never freed */
};
