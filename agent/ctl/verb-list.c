/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl list: one line per guarded process, from figures the daemon has anyway. */

#include <errno.h>

#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/nobody.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"
#include "agent/ctl/verdict.h"

/* On narrower terminals notes stand below the table. */
#define NOTE_WIDTH 100

/* PID and GROUP stay in front: completion reads them. */
static const struct table_column columns[] = {
	{ .name = "PID", .right = true },
	{ .name = "GROUP", .cut = true },
	{ .name = "COMMAND", .least_width = 70 },
	{ .name = "RSS", .right = true },
	{ .name = "IN USE", .right = true },
	{ .name = "RETAINED", .right = true },
	{ .name = "VERDICT", .least_width = 80 },
	{ .name = "ARENAS", .right = true, .least_width = 90 },
	{ .name = "STALL", .right = true, .least_width = 90 },
	{ .name = "MEASURED", .right = true, .least_width = 100 },
	{ .name = "MALLOC", .least_width = 130 },
	{ .name = "HOOK", .least_width = 140 },
	{ .name = "NOTE", .least_width = NOTE_WIDTH },
};

/* What keeps the process from being asked, if anything does. */
static const char *note(const json_t *member)
{
	if (fields_is(member, "seccomp_changed"))
		return "asleep: system call filter";
	if (fields_is(member, "stopped"))
		return "stopped";
	if (fields_number(member, "failures") > 0)
		return fields_is(member, "refused") ? "refused to release" : "did not answer";
	if (fields_is(member, "bad_environment"))
		return "bad MEMGUARD_* value";

	return "";
}

static void add_member(struct table *table, const json_t *member)
{
	char text[FORMAT_MAX];
	uint64_t number;

	table_row(table);
	table_cell(table, COLOR_BOLD, "%llu",
		   (unsigned long long)fields_number(member, "pid"));
	table_cell(table, COLOR_NONE, "%s", fields_name(member));
	table_cell(table, COLOR_NONE, "%s", fields_string(member, "command"));
	table_cell(table, COLOR_NONE, "%s", fields_bytes(member, "rss_bytes", text));
	table_cell(table, COLOR_NONE, "%s", fields_in_use_text(member, text));
	table_cell(table, COLOR_NONE, "%s", fields_bytes(member, "retained_bytes", text));
	verdict_cell(table, member);
	/* Of other allocators it is not known how long they stall. */
	if (fields_find(member, "n_arenas", &number)) {
		table_cell(table, COLOR_NONE, "%llu", (unsigned long long)number);
		table_cell(table, COLOR_NONE, "%s", fields_usec(member, "stall_usec", text));
	} else {
		table_cell(table, COLOR_NONE, "-");
		table_cell(table, COLOR_NONE, "-");
	}
	if (fields_find(member, "stats_age_usec", &number))
		table_cell(table, COLOR_NONE, "%s ago",
			   fields_round_usec(MAX(number, USEC_PER_SEC), text));
	else
		table_cell(table, COLOR_NONE, "never");
	table_cell(table, COLOR_NONE, "%s", fields_string(member, "malloc"));
	table_cell(table, COLOR_NONE, "%s", fields_string(member, "hook_version"));
	table_cell(table, COLOR_YELLOW, "%s", note(member));
}

static void print_notes(const struct ctl *ctl, const json_t *members)
{
	const json_t *member;
	size_t i;

	if (ctl->width == 0 || ctl->width >= NOTE_WIDTH)
		return;

	json_array_foreach(members, i, member)
		if (note(member)[0] != '\0')
			output_note(ctl, "Note on %llu: %s", (unsigned long long)fields_number(member, "pid"),
				    note(member));
}

static int print_members(struct ctl *ctl, const json_t *members)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *member;
	size_t i;
	int r;

	if (json_array_size(members) == 0) {
		nobody_guarded(ctl);
		return 0;
	}

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(members, i, member) add_member(table, member);

	r = table_print(table);
	if (r >= 0)
		print_notes(ctl, members);
	return r;
}

int verb_list(struct ctl *ctl, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	json_t *members = NULL;
	int r;

	r = client_call_what(ctl, "ListMembers", what, &members);
	if (r >= 0 && what[0] != '\0' && json_array_size(members) == 0) {
		(void)output_json(ctl, members);
		r = nobody_in(ctl, what) ? -ENOENT : 0;
	} else if (r >= 0 && !output_json(ctl, members)) {
		r = print_members(ctl, members);
	}

	json_decref(members);
	return client_exit(r);
}
