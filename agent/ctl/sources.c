/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/sources.h"

#include <stdio.h>

#include "agent/ctl/fields.h"
#include "agent/ctl/output.h"

/* By key: what it is, of which there may be one per group. */
static const struct {
	const char *key;
	const char *text;
} sources[] = {
	{ "usage_threshold", "usage thresholds" },
	{ "pressure_level", "pressure levels" },
	{ "memory_events", "memory.events" },
	{ "group_pressure", "pressure of groups" },
	{ "machine_pressure", "pressure of the machine" },
};

/* Of a group it is a word, of the daemon numbers of groups. */
static bool is_armed(const json_t *source)
{
	return json_is_string(source) ? streq(json_string_value(source), "armed")
				      : fields_number(source, "armed") > 0;
}

/* NULL: none. */
static const char *error_of(const json_t *source)
{
	if (json_is_string(source))
		return is_armed(source) ? NULL : json_string_value(source);

	return fields_number(source, "failed") > 0 ? fields_string(source, "error") : NULL;
}

void sources_print(const struct ctl *ctl, const json_t *signals)
{
	char text[512] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (is_armed(json_object_get(signals, sources[i].key)) && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, ", %s",
					      sources[i].text);
	output_pair(ctl, "Signals:", "usage by sampling%s", text);

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		const char *error = error_of(json_object_get(signals, sources[i].key));

		if (error)
			output_pair(ctl, "Without:", "%s (%s); sampling has to do",
				    sources[i].text, error);
	}
}
