/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * memguardctl diagnose: measure, release, measure again. What a release gives back was
 * retained; what it leaves was not, and by what is left the disease is known.
 */

#include <inttypes.h>

#include "agent/basic/log.h"
#include "agent/basic/name.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"
#include "agent/ctl/verdict.h"

static const struct table_column columns[] = {
	{ .name = "PID", .right = true },
	{ .name = "COMMAND", .cut = true },
	{ .name = "RSS", .right = true },
	{ .name = "", .right = true },
	{ .name = "PREDICTED", .right = true, .least_width = 76 },
	{ .name = "IN USE", .right = true },
	{ .name = "UNUSED", .right = true, .least_width = 90 },
	{ .name = "SWAP", .right = true, .least_width = 90 },
	{ .name = "VERDICT" },
};

struct examination {
	json_t *before;   /* members, fresh */
	json_t *outcomes; /* of the release, one per group */
	json_t *after;    /* members, fresh */
	json_t *groups;   /* with the verdict */
};

static void examination_donep(struct examination *e)
{
	json_decref(e->before);
	json_decref(e->outcomes);
	json_decref(e->after);
	json_decref(e->groups);
}

static int examine(struct ctl *ctl, const char *what, struct examination *e)
{
	int r;

	r = client_call_what(ctl, "Show", what, &e->before);
	if (r >= 0)
		r = client_call_trim(ctl, what, ctl->method, &e->outcomes);
	if (r >= 0)
		r = client_call_what(ctl, "Show", what, &e->after);
	if (r >= 0)
		r = client_call_what(ctl, "Explain", what, &e->groups);

	return r;
}

static const json_t *find(const json_t *rows, const char *key, const json_t *like)
{
	const uint64_t number = fields_number(like, key);
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (fields_number(row, key) == number)
			return row;

	return NULL;
}

static const json_t *outcome_of(const struct examination *e, const json_t *group)
{
	const json_t *outcome;
	size_t i;

	json_array_foreach(e->outcomes, i, outcome)
		if (streq(fields_string(outcome, "path"), fields_string(group, "path")))
			return outcome;

	return NULL;
}

static bool is_in(const json_t *member, const json_t *group)
{
	return streq(fields_string(member, "path"), fields_string(group, "path"));
}

static uint64_t sum(const json_t *rows, const json_t *group, const char *key)
{
	uint64_t bytes = 0;
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (is_in(row, group))
			bytes += fields_number(row, key);

	return bytes;
}

/* False: none of their allocators tells. */
static bool sum_in_use(const json_t *rows, const json_t *group, uint64_t *ret)
{
	uint64_t bytes = 0, in_use;
	const json_t *row;
	bool found = false;
	size_t i;

	json_array_foreach(rows, i, row)
		if (is_in(row, group) && fields_in_use(row, &in_use)) {
			bytes = add_sat(bytes, in_use);
			found = true;
		}

	*ret = bytes;
	return found;
}

/* More than all of them are charged for: the verdict counts it once. */
static const char *note_shared(uint64_t anon_bytes, uint64_t charged_bytes)
{
	return charged_bytes > 0 && anon_bytes > add_sat(charged_bytes, charged_bytes / 16)
		       ? "; what processes share is in this for each of them" : "";
}

/* "520M resident, 131M in use, 390M should go"; @charged_bytes: the group's usage then, 0: not known. */
static void print_state(const struct ctl *ctl, const char *label, const json_t *rows,
			const json_t *group, uint64_t charged_bytes)
{
	const uint64_t rss_bytes = sum(rows, group, "rss_bytes");
	const char *shared = note_shared(sum(rows, group, "rss_anon_bytes"), charged_bytes);
	char rss[FORMAT_MAX], in_use[FORMAT_MAX], retained[FORMAT_MAX];
	uint64_t bytes;

	if (!sum_in_use(rows, group, &bytes)) {
		output_pair(ctl, label, "%s resident; what of it is in use is not known%s",
			    format_bytes(rss, rss_bytes), shared);
		return;
	}

	output_pair(ctl, label, "%s resident, %s in use, %s should go in a release%s",
		    format_bytes(rss, rss_bytes), format_bytes(in_use, bytes),
		    format_bytes(retained, sum(rows, group, "retained_bytes")), shared);
}

static void print_release(const struct ctl *ctl, const struct examination *e, const json_t *group)
{
	char gave[FORMAT_MAX], expected[FORMAT_MAX], stall[FORMAT_MAX], of[FORMAT_MAX + 32];
	const json_t *outcome = outcome_of(e, group);
	const uint64_t charge = add_sat(fields_number(outcome, "released_bytes"),
					fields_number(outcome, "held_bytes"));
	uint64_t rss = sub_sat(fields_number(outcome, "rss_before_bytes"),
			       fields_number(outcome, "rss_after_bytes"));
	uint64_t in_use;

	if (!outcome) {
		output_pair(ctl, "Release:", "none was made: the group is new or has gone");
		return;
	}
	if (fields_number(outcome, "answered") == 0) {
		if (fields_string(outcome, "timed_out_reason_text")[0] != '\0')
			output_pair(ctl, "Release:", "none was made: process %" PRIu64 " %s",
				    fields_number(outcome, "timed_out_pid"),
				    fields_string(outcome, "timed_out_reason_text"));
		else if (streq(fields_string(outcome, "kind"), "failed"))
			output_pair(ctl, "Release:",
				    "none was made: no process answered; \"memguardctl%s list\" "
				    "says what is wrong with each",
				    ctl_user(ctl));
		else
			output_pair(ctl, "Release:", "none was made: %s",
				    fields_string(outcome, "reason_text"));
		return;
	}

	/* What several share since a fork is in the RSS of each. */
	if (fields_number(outcome, "answered") > 1)
		rss = MIN(rss, charge);
	snprintf(of, sizeof(of), "of %s that were predicted",
		 fields_bytes(outcome, "expected_bytes", expected));
	if (fields_number(outcome, "expected_bytes") == 0)
		snprintf(of, sizeof(of), sum_in_use(e->before, group, &in_use) ?
			 "where nothing was expected" : "where nothing could be predicted");
	output_pair(ctl, "Release:", "gave %s %s, by %s, stalling for at most %s",
		    format_bytes(gave, rss), of,
		    fields_string(outcome, "method"), fields_usec(outcome, "stall_usec", stall));
}

static void add_member(const struct ctl *ctl, struct table *table, const json_t *before,
		       const json_t *after)
{
	const json_t *row = after ? after : before;
	const uint64_t unused = sub_sat(fields_number(row, "heap_rss_bytes"),
					fields_number(row, "in_use_bytes"));
	uint64_t in_use;
	char text[FORMAT_MAX];

	table_row(table);
	table_cell(table, COLOR_BOLD, "%" PRIu64, fields_number(row, "pid"));
	table_cell(table, COLOR_NONE, "%s", fields_string(row, "command"));
	table_cell(table, COLOR_NONE, "%s",
		   before ? fields_bytes(before, "rss_bytes", text) : "-");
	table_cell(table, COLOR_NONE, "%s %s", ctl->utf8 ? "→" : "->",
		   after ? fields_bytes(after, "rss_bytes", text) : "gone");
	table_cell(table, COLOR_NONE, "%s",
		   before && fields_in_use(before, &in_use) ?
			   fields_bytes(before, "retained_bytes", text) : "-");
	table_cell(table, COLOR_NONE, "%s", fields_in_use_text(row, text));
	table_cell(table, COLOR_NONE, "%s", fields_in_use(row, &in_use) ? format_bytes(text, unused) : "-");
	table_cell(table, COLOR_NONE, "%s", fields_bytes(row, "swap_bytes", text));
	verdict_cell(table, row);
}

static int print_members(const struct ctl *ctl, const struct examination *e,
			 const json_t *group)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *row;
	size_t i;
	int r;

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(e->before, i, row)
		if (is_in(row, group))
			add_member(ctl, table, row, find(e->after, "pid", row));
	json_array_foreach(e->after, i, row)
		if (is_in(row, group) && !find(e->before, "pid", row))
			add_member(ctl, table, NULL, row);

	fputc('\n', ctl->out);
	return table_print(table);
}

static int print_group(const struct ctl *ctl, const struct examination *e,
		       const json_t *group, const json_t *subject)
{
	const json_t *outcome = outcome_of(e, group);

	fprintf(ctl->out, "%s%s %s%s\n", output_color(ctl, COLOR_BOLD), output_bullet(ctl),
		fields_name(group), output_color(ctl, COLOR_NONE));
	verdict_print(ctl, subject);
	print_state(ctl, "Before:", e->before, group, fields_number(outcome, "usage_before_bytes"));
	print_release(ctl, e, group);
	print_state(ctl, "After:", e->after, group, fields_number(outcome, "usage_after_bytes"));
	return print_members(ctl, e, group);
}

/* A pid names one process: the verdict is about it. */
static int print(const struct ctl *ctl, const struct examination *e, const char *what)
{
	const json_t *group;
	size_t i;
	int pid, r = 0;

	json_array_foreach(e->groups, i, group)
	{
		const json_t *subject = group;

		if (parse_pid(what, &pid) >= 0 && json_array_size(e->after) == 1)
			subject = json_array_get(e->after, 0);
		if (i > 0)
			fputc('\n', ctl->out);
		r = print_group(ctl, e, group, subject);
		if (r < 0)
			break;
	}

	return r;
}

static bool print_json(const struct ctl *ctl, const struct examination *e)
{
	json_t *answer = json_pack("{s:O, s:O, s:O, s:O}", "groups", e->groups, "before",
				   e->before, "outcomes", e->outcomes, "after", e->after);
	const bool printed = output_json(ctl, answer);

	json_decref(answer);
	return printed;
}

/* Somebody was released from, so that there is something to judge by. */
static bool is_measured(const struct examination *e)
{
	const json_t *outcome;
	size_t i;

	json_array_foreach(e->outcomes, i, outcome)
		if (fields_number(outcome, "answered") > 0)
			return true;

	return false;
}

int verb_diagnose(struct ctl *ctl, int argc, char **argv)
{
	char name[NAME_QUOTED_MAX];
	_cleanup_(examination_donep) struct examination e = { 0 };
	int r;

	(void)argc;
	r = examine(ctl, argv[1], &e);
	if (r >= 0 && !print_json(ctl, &e))
		r = print(ctl, &e, argv[1]);
	if (r < 0)
		return client_exit(r);

	if (is_measured(&e))
		return CTL_DONE;

	log_error("No process could be released from, so the verdict is a guess from figures: "
		  "see \"memguardctl%s list %s\" for what keeps them from it", ctl_user(ctl),
		  name_quote(argv[1], name, sizeof(name)));
	return CTL_FAILED;
}
