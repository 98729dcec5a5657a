/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Swap of a group, and one time that the kernel was asked to use it. Plain data. */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/group.h"

struct swap {
	uint64_t used_bytes; /* by the group and those below it */
	uint64_t room_bytes; /* how much more it may use, and there is; 0 without any */
	bool has_reclaim;    /* the kernel can be asked */
};

/* How a group stands at one end of it. */
struct swap_out_end {
	uint64_t time_usec; /* CLOCK_MONOTONIC */
	uint64_t usage_bytes;
	uint64_t anon_bytes; /* as in struct reading: what counts against the limit */
	uint64_t swap_bytes;
};

struct swap_out {
	uint64_t asked_bytes;
	struct swap_out_end before, after;
	int error; /* positive errno; EAGAIN: the kernel says that it found less than was asked */
};
