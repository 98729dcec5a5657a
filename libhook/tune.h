/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Knobs of the allocators in the process, at its start and later, and what became of them. */

#include "libhook/serve.h"

/* Constructor: MEMGUARD_MALLOPT, but for what the operator's own variables set. */
void tune_at_start(struct host *host);

/*
 * Sets @knob to @value, which is within its range. Only the agent's thread: may read the
 * heap, to see whether it comes too late.
 */
enum wire_status tune_knob(struct host *host, enum wire_knob knob, uint64_t value,
			   enum wire_effect *ret_effect);
