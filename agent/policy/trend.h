/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Growth, time to the limit, and when to look again. Pure. */

#include <stdint.h>

#include "agent/model/group.h"

/* Before it, when it is another limit that counts from @next on: so do other groups, which is no growth. */
void trend_move(struct trend *trend, const struct reading *last, const struct reading *next);

/* Takes a reading in. */
struct trend trend_add(const struct trend *trend, const struct reading *reading);

/*
 * When to sample next, in microseconds from now: the headroom up to UsageHigh divided by
 * the fastest growth we promise to catch (2 GiB/s), between 10 ms and 5 s; 50 ms while
 * the gate is open, less near UsageCritical while a round is under way; while it settles
 * not before it ends, or before UsageCritical could be reached; slower where a kernel
 * event (v1 threshold) will wake us anyway (@has_event).
 */
uint64_t trend_next_usec(const struct group *group, bool has_event, uint64_t now_usec);

/*
 * Where the kernel should wake us, in bytes of all usage, so that it does when what counts
 * reaches UsageHigh=: farther up by the page cache. BYTES_INFINITY where UsageHigh= is
 * off, or where usage would be held at the limit before it gets there.
 */
uint64_t trend_wake_bytes(const struct group *group);

/*
 * Would a wake-up at @bytes come before UsageHigh= is passed by more than the kernel's steps, as far as
 * the group's own usage goes? Then it need not be moved.
 */
bool trend_is_in_place(const struct group *group, uint64_t bytes);
/* The same with what others have of the limit, of which it does not tell: then nobody need look. */
bool trend_is_awaited(const struct group *group, uint64_t bytes);
