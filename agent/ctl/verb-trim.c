/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl trim: a round on command; before and after as the kernel counts. */

#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"

static const struct table_column columns[] = {
	{ .name = "GROUP", .cut = true },
	{ .name = "RELEASED", .right = true },
	{ .name = "USAGE", .right = true },
	{ .name = "", .right = true },
	{ .name = "RSS", .right = true, .least_width = 80 },
	{ .name = "", .right = true, .least_width = 80 },
	{ .name = "EXPECTED", .right = true, .least_width = 100 },
	{ .name = "ANSWERED", .right = true },
	{ .name = "METHOD", .least_width = 80 },
	{ .name = "STALL", .right = true, .least_width = 90 },
	{ .name = "LONGEST", .right = true, .least_width = 70 },
	{ .name = "TOOK", .right = true, .least_width = 100 },
};

/* "561M", "-> 149M": in two cells, so that both align. */
static void add_change(const struct ctl *ctl, struct table *table, const json_t *outcome,
		       const char *before, const char *after)
{
	char text[FORMAT_MAX];

	table_cell(table, COLOR_NONE, "%s", fields_bytes(outcome, before, text));
	if (json_object_get(outcome, after))
		table_cell(table, COLOR_NONE, "%s %s", ctl->utf8 ? "→" : "->",
			   fields_bytes(outcome, after, text));
	else
		table_cell(table, COLOR_NONE, "%s", "");
}

static void add_outcome(const struct ctl *ctl, struct table *table, const json_t *outcome)
{
	const bool is_failed = streq(fields_string(outcome, "kind"), "failed");
	char text[FORMAT_MAX];

	table_row(table);
	table_cell(table, COLOR_BOLD, "%s", fields_name(outcome));
	table_cell(table, is_failed ? COLOR_RED : COLOR_GREEN, "%s",
		   fields_bytes(outcome, "released_bytes", text));
	add_change(ctl, table, outcome, "usage_before_bytes", "usage_after_bytes");
	add_change(ctl, table, outcome, "rss_before_bytes", "rss_after_bytes");
	table_cell(table, COLOR_NONE, "%s",
		   fields_bytes(outcome, "expected_bytes", text));
	table_cell(table, COLOR_NONE, "%llu of %llu",
		   (unsigned long long)fields_number(outcome, "answered"),
		   (unsigned long long)fields_number(outcome, "asked"));
	table_cell(table, COLOR_NONE, "%s", fields_string(outcome, "method"));
	table_cell(table, COLOR_NONE, "%s", fields_usec(outcome, "stall_usec", text));
	table_cell(table, COLOR_NONE, "%s", fields_usec(outcome, "longest_usec", text));
	table_cell(table, COLOR_NONE, "%s", fields_usec(outcome, "duration_usec", text));
}

/* Somebody released nothing, or it does not show: why is worth knowing. */
static bool has_reason(const json_t *outcome)
{
	return !streq(fields_string(outcome, "kind"), "released") ||
	       fields_number(outcome, "held_bytes") > 0 ||
	       fields_number(outcome, "answered") < fields_number(outcome, "asked");
}

static int print_outcomes(const struct ctl *ctl, const json_t *outcomes)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *outcome;
	size_t i;
	int r;

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(outcomes, i, outcome) add_outcome(ctl, table, outcome);

	r = table_print(table);
	if (r < 0)
		return r;

	/* A table has no room for reasons. */
	json_array_foreach(outcomes, i, outcome) if (has_reason(outcome))
		fprintf(ctl->out, "%s\n", fields_string(outcome, "text"));
	return 0;
}

/*
 * Asked and not answered by anybody, or nobody there in any of the groups: the command did not do
 * what it was for.
 */
static bool has_failed(const json_t *outcomes)
{
	const json_t *outcome;
	size_t i, n_empty = 0;

	json_array_foreach(outcomes, i, outcome) {
		if (streq(fields_string(outcome, "kind"), "failed"))
			return true;
		n_empty += streq(fields_string(outcome, "reason"), "no-members");
	}

	return n_empty > 0 && n_empty == json_array_size(outcomes);
}

int verb_trim(struct ctl *ctl, int argc, char **argv)
{
	json_t *outcomes = NULL;
	bool failed;
	int r;

	(void)argc;
	r = client_call_trim(ctl, argv[1], ctl->method, &outcomes);
	if (r >= 0 && !output_json(ctl, outcomes))
		r = print_outcomes(ctl, outcomes);

	failed = has_failed(outcomes);
	json_decref(outcomes);
	return failed ? CTL_FAILED : (int)client_exit(r);
}
