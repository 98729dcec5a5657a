/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel reclaimed by MemoryReclaim=, to the journal; without one a line. */

#include <sys/types.h>

#include "agent/model/group.h"
#include "agent/model/swap.h"

/* Our message id: stable, in etc/memguard.catalog and memguard(8). */
#define MESSAGE_RECLAIM "da6e200906bb4203918695533a703197"

/* One sentence for people. @size 512 is enough. Pure. */
void journal_reclaim_sentence(const struct group *group, const struct swap_out *reclaim, char *buf,
			      size_t size);

/* The entry, ready to be sent: its length, or -E2BIG. Allocates nothing. */
ssize_t journal_reclaim_format(const struct group *group, const struct swap_out *reclaim, char *buf,
			       size_t size);

void journal_reclaim(const struct group *group, const struct swap_out *reclaim);
