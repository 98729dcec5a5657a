/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times and values for the tests of policy/trend. */

#include <stdint.h>

#include "agent/basic/macro.h"

#define MSEC(x) ((x)*USEC_PER_MSEC)
#define SEC(x) ((x)*USEC_PER_SEC)
#define NOW SEC(1000)

static const uint64_t extremes[] = {
	0,
	1,
	MIB,
	GIB,
	UINT64_C(1) << 50,
	INT64_MAX - 1,
	INT64_MAX,
	(uint64_t)INT64_MAX + 1,
	UINT64_MAX - 1,
	UINT64_MAX,
};
