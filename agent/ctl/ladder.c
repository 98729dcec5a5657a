/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/ladder.h"

#include <inttypes.h>

#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"

static const struct table_column step_columns[] = {
	{ .name = "STEP" },
	{ .name = "SETTING", .least_width = 70 },
	{ .name = "LAST", .right = true },
	{ .name = "THIS HOUR", .right = true, .least_width = 70 },
	{ .name = "NOW", .wrap = true },
};

static const struct {
	const char *step, *setting;
} step_settings[] = {
	{ "release", "all thresholds above" },
	{ "tune", "TuneAfter=" },
	{ "reclaim", "MemoryReclaim=" },
	{ "alert", "UsageCritical=, growth" },
	{ "command", "Exec=" },
};

/* What it takes to be the next one: for tuning that is a number. */
static void add_now(struct table *table, const json_t *group, const json_t *step)
{
	const bool due = fields_is(step, "due");

	if (streq(fields_string(step, "step"), "tune") &&
	    streq(fields_string(step, "reason"), "below"))
		table_cell(table, COLOR_GREEN,
			   "%" PRIu64 " of %" PRIu64 " releases in a row were in use again",
			   fields_number(group, "returned_in_a_row"),
			   fields_number(group, "tune_after"));
	else
		table_cell(table, due ? COLOR_RED : COLOR_NONE, "%s%s", due ? "due: " : "",
			   fields_string(step, "reason_text"));
}

static void add_step(struct table *table, const json_t *group, const json_t *step)
{
	const char *name = fields_string(step, "step"), *setting = "";
	char ago[FORMAT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(step_settings); i++)
		if (streq(name, step_settings[i].step))
			setting = step_settings[i].setting;

	table_row(table);
	table_cell(table, COLOR_BOLD, "%s", name);
	table_cell(table, COLOR_NONE, "%s", setting);
	if (json_object_get(step, "age_usec"))
		table_cell(table, COLOR_NONE, "%s ago",
			   fields_ago(step, "age_usec", ago));
	else
		table_cell(table, COLOR_DIM, "-");
	table_cell(table, COLOR_NONE, "%" PRIu64, fields_number(step, "this_hour"));
	add_now(table, group, step);
}

int ladder_print(const struct ctl *ctl, const json_t *group)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *step;
	size_t i;
	int r;

	r = table_new(ctl, step_columns, ARRAY_SIZE(step_columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(json_object_get(group, "steps"), i, step)
		add_step(table, group, step);

	r = table_print(table);
	fputc('\n', ctl->out);
	return r;
}
