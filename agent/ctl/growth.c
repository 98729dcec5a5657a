/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/growth.h"

#include <stdio.h>

/* Less than this a second is no growth: some 20 MiB a day. */
#define LEAST_GROWTH 256

#define JUST_NOW_USEC (10 * USEC_PER_SEC)

static char *format_growth(int64_t bytes_per_sec, char buf[static GROWTH_MAX])
{
	const uint64_t rate =
		(uint64_t)(bytes_per_sec < 0 ? -bytes_per_sec : bytes_per_sec);
	char bytes[FORMAT_MAX];

	if (rate < LEAST_GROWTH)
		snprintf(buf, GROWTH_MAX, "steady");
	else
		snprintf(buf, GROWTH_MAX, "%s by %s/s",
			 bytes_per_sec < 0 ? "shrinking" : "growing",
			 format_bytes(bytes, rate));
	return buf;
}

/* What is taken back of it for a moment is no growth; what would soon undo it is. */
static bool has_just_released(const json_t *group, int64_t rate)
{
	const json_t *last = json_object_get(group, "last_outcome");
	const uint64_t released_bytes = fields_number(last, "released_bytes");
	uint64_t age_usec;

	return released_bytes > 0 && fields_find(last, "age_usec", &age_usec) &&
	       age_usec < JUST_NOW_USEC && rate < (int64_t)(released_bytes / 8);
}

char *growth_text(const json_t *group, char buf[static GROWTH_MAX])
{
	const int64_t rate = fields_signed(group, "growth_bytes_per_sec");

	if (fields_number(group, "members") == 0)
		snprintf(buf, GROWTH_MAX, "its guarded processes have ended");
	else if (has_just_released(group, rate))
		snprintf(buf, GROWTH_MAX, "lowered by a release just now");
	else
		format_growth(rate, buf);
	return buf;
}
