/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/verdict.h"

#include <inttypes.h>

static enum color color_of(const char *verdict)
{
	if (streq(verdict, "healthy"))
		return COLOR_GREEN;
	if (streq(verdict, "unknown"))
		return COLOR_DIM;

	return streq(verdict, "growing") ? COLOR_RED : COLOR_YELLOW;
}

void verdict_cell(struct table *table, const json_t *row)
{
	const char *verdict = fields_string(row, "verdict");
	uint64_t percent;

	if (fields_find(row, "confidence_percent", &percent) && percent > 0)
		table_cell(table, color_of(verdict), "%s %" PRIu64 "%%", verdict, percent);
	else
		table_cell(table, color_of(verdict), "%s", verdict);
}

/* "412M are in use, 3M are retained". */
static char *join_texts(const json_t *items, char *buf, size_t size)
{
	const json_t *item;
	size_t i, used = 0;

	buf[0] = '\0';
	json_array_foreach(items, i, item)
	{
		const int n = snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "",
				       fields_string(item, "text"));

		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}

	return buf;
}

void verdict_print(const struct ctl *ctl, const json_t *row)
{
	const char *verdict = fields_string(row, "verdict");
	const json_t *item, *advice = json_object_get(row, "advice");
	char evidence[1024];
	uint64_t percent = 0;
	size_t i;

	if (fields_find(row, "confidence_percent", &percent) && percent > 0)
		output_pair(ctl, "Verdict:", "%s%s%s (%" PRIu64 "%% sure). %s",
			    output_color(ctl, color_of(verdict)), verdict,
			    output_color(ctl, COLOR_NONE), percent,
			    fields_string(row, "verdict_text"));
	else
		output_pair(ctl, "Verdict:", "%s. %s", verdict,
			    fields_string(row, "verdict_text"));

	if (join_texts(json_object_get(row, "evidence"), evidence, sizeof(evidence))[0] != '\0')
		output_pair(ctl, "Evidence:", "%s", evidence);
	json_array_foreach(advice, i, item)
		if (!streq(fields_string(item, "name"), "none"))
			output_pair(ctl, i == 0 ? "Try:" : "", "%s",
				    fields_string(item, "text"));
}
