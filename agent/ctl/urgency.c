/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/urgency.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/macro.h"
#include "agent/ctl/fields.h"

/* Whoever looks so soon after a kill looks for that, and who was killed need not be back. */
static bool was_killed_lately(const json_t *group)
{
	uint64_t age_usec;

	return fields_find(group, "oom_kill_age_usec", &age_usec) && age_usec < 3600 * USEC_PER_SEC;
}

/* By what a look is worth: states as they are entered, then verdicts. 0: nobody is left. */
static size_t rank_of(const json_t *group)
{
	static const char *const states[] = { "calm", "retaining", "pressed", "high", "critical" };
	static const char *const verdicts[] = { "healthy",    "unknown",    "retained",
						"fragmented", "not-malloc", "growing" };
	const size_t band = ARRAY_SIZE(verdicts) + 1; /* a place for who is calm since he was killed */
	const bool killed = was_killed_lately(group);
	size_t rank = 1;

	if (fields_number(group, "members") == 0)
		return killed ? band : 0;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (streq(fields_string(group, "state"), states[i]))
			rank += i * band;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (streq(fields_string(group, "verdict"), verdicts[i]))
			rank += i;

	return killed ? MAX(rank, band) : rank;
}

/* The most urgent first; of equals the one nearest to its limit, then the largest. */
static int compare_groups(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	const uint64_t keys[][2] = {
		{ rank_of(*x), rank_of(*y) },
		{ fields_number(*x, "usage_permyriad"), fields_number(*y, "usage_permyriad") },
		{ fields_number(*x, "anon_bytes"), fields_number(*y, "anon_bytes") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1] ? 1 : -1;

	return strcmp(fields_name(*x), fields_name(*y));
}

void urgency_freep(const json_t ***sorted)
{
	free(*sorted);
}

const json_t **urgency_sort(const json_t *groups)
{
	const size_t n = json_array_size(groups);
	const json_t **sorted = calloc(n, sizeof(*sorted));

	if (!sorted)
		return NULL;

	for (size_t i = 0; i < n; i++)
		sorted[i] = json_array_get(groups, i);
	qsort(sorted, n, sizeof(*sorted), compare_groups);
	return sorted;
}
