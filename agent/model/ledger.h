/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The last rounds of all groups, in a fixed ring: nothing is allocated after start. */

#include <stddef.h>
#include <stdint.h>

#include "agent/model/outcome.h"

#define LEDGER_SIZE 256
#define LEDGER_NAME_MAX 128

struct ledger {
	uint64_t n_appended;           /* ever; the newest is (n_appended - 1) % LEDGER_SIZE */
	uint64_t n_quiet;              /* rounds that asked nobody: only counted */
	uint64_t released_bytes;       /* sum over all, ever */
	struct outcome outcomes[LEDGER_SIZE];
	/* Units, or paths, of groups that may be gone by now; of long ones the end. */
	char names[LEDGER_SIZE][LEDGER_NAME_MAX];
};

/*
 * Quiet outcomes are counted, the others kept: returns where, until LEDGER_SIZE others came,
 * or NULL.
 */
const struct outcome *ledger_append(struct ledger *ledger, const struct outcome *outcome,
				    const char *name);

/*
 * Has the place of the next outcome its memory now: a page that was never written comes with the first
 * write, for which there may be none left. Appending does so for the one after it.
 */
void ledger_touch(struct ledger *ledger);

/* That round, if it is still there; or NULL. */
struct outcome *ledger_find(struct ledger *ledger, uint64_t round);

/* @back 0 is the newest. NULL when there is none that far back. */
const struct outcome *ledger_at(const struct ledger *ledger, size_t back);
/* The end of @name, as far as there is room. */
void ledger_set_name(char buf[static LEDGER_NAME_MAX], const char *name);

/* The group's name at that time, likewise. */
const char *ledger_name(const struct ledger *ledger, size_t back);
