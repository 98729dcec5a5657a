/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The clock itself, in microseconds since the machine's start: for those who measure how long
 * something took. All else goes by the time at which its turn of the event loop began.
 */

#include <stdint.h>
#include <time.h>

#include "agent/basic/macro.h"

static inline uint64_t clock_now_usec(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}
