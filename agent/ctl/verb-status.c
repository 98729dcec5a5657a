/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl status: the daemon in a few lines, then its groups. */

#include <errno.h>

#include "agent/basic/log.h"
#include "agent/basic/name.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/nobody.h"
#include "agent/ctl/sources.h"
#include "agent/ctl/table.h"
#include "agent/ctl/urgency.h"
#include "agent/ctl/verdict.h"
#include "agent/ctl/verbs.h"

#define BAR_CELLS 8

/* A terminal of so many columns has room for reasons as clauses; else their names. */
#define WIDE 170

static const struct table_column columns[] = {
	{ .name = "GROUP", .cut = true },
	{ .name = "USAGE", .right = true },
	{ .name = "LIMIT", .right = true },
	{ .name = "", .least_width = 90 },
	{ .name = "IN USE", .right = true, .least_width = 100 },
	{ .name = "RETAINED", .right = true },
	{ .name = "STATE" },
	{ .name = "VERDICT", .least_width = 76 },
	{ .name = "LAST OUTCOME", .least_width = 120 },
};

static enum color color_of_state(const char *state)
{
	if (streq(state, "critical"))
		return COLOR_RED;

	return streq(state, "calm") ? COLOR_GREEN : COLOR_YELLOW;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void print_config(const struct ctl *ctl, const json_t *status)
{
	const char *state = fields_string(status, "config_state");
	const uint64_t n_files = fields_number(status, "n_config_files");
	char ago[FORMAT_MAX];

	fields_ago(status, "reload_age_usec", ago);
	if (!streq(state, "ok"))
		output_pair(ctl, "Config:",
			    "%sERROR%s %s (the older settings stay in force; mend "
			    "it, then: memguardctl%s reload)",
			    output_color(ctl, COLOR_RED), output_color(ctl, COLOR_NONE),
			    state, ctl_user(ctl));
	else if (n_files == 0)
		output_pair(ctl, "Config:", "ok, defaults, loaded %s ago", ago);
	else
		output_pair(ctl, "Config:", "ok, %llu file%s, loaded %s ago",
			    (unsigned long long)n_files, plural(n_files), ago);
}

static void print_sensing(const struct ctl *ctl, const json_t *status)
{
	const char *cgroup = fields_string(status, "cgroup");
	const char *root = fields_string(status, "cgroup_root");
	const bool has_cgroup = !streq(cgroup, "none");
	const bool is_part = root[0] != '\0' && !streq(root, "/");

	output_pair(ctl, "Sensing:", "%s%s%s%s%s, %s, system bus %s",
		    has_cgroup ? "cgroup " : "RSS only: no memory controller here",
		    has_cgroup ? cgroup : "",
		    streq(fields_string(status, "cgroup_layout"), "hybrid") ? " (hybrid)"
									    : "",
		    is_part ? " below " : "", is_part ? root : "",
		    fields_is(status, "psi") ? "pressure triggers"
					     : "no pressure triggers",
		    fields_string(status, "system_bus"));
}

/* Nothing, mostly. */
static void print_lost(const struct ctl *ctl, const json_t *status)
{
	const uint64_t n_entries = fields_number(status, "journal_entries_lost");
	const uint64_t n_signals = fields_number(status, "signals_lost");
	const uint64_t n_commands = fields_number(status, "commands_lost");

	if (n_entries + n_signals + n_commands > 0)
		output_pair(ctl, "Lost:",
			    "%llu journal entr%s, %llu signal%s, %llu command%s of Exec=",
			    (unsigned long long)n_entries, n_entries == 1 ? "y" : "ies",
			    (unsigned long long)n_signals, plural(n_signals),
			    (unsigned long long)n_commands, plural(n_commands));
}

static void print_header(const struct ctl *ctl, const json_t *status)
{
	const uint64_t n_members = fields_number(status, "n_members");
	const uint64_t n_groups = fields_number(status, "n_groups");
	const uint64_t n_rounds = fields_number(status, "rounds");
	const char *mode = fields_string(status, "mode");
	char text[FORMAT_MAX];

	fprintf(ctl->out, "%s%s%s memguardd %s, running for %s, mode %s%s\n",
		output_color(ctl, COLOR_GREEN), output_bullet(ctl),
		output_color(ctl, COLOR_NONE), fields_string(status, "version"),
		fields_ago(status, "uptime_usec", text), mode,
		streq(mode, "observe") ? " (nobody is asked to release)" : "");
	print_config(ctl, status);
	print_sensing(ctl, status);
	sources_print(ctl, json_object_get(status, "signals"));
	output_pair(ctl, "Guarding:", "%llu process%s in %llu group%s",
		    (unsigned long long)n_members, n_members == 1 ? "" : "es",
		    (unsigned long long)n_groups, plural(n_groups));
	output_pair(ctl, "Released:", "%s in %llu round%s",
		    fields_bytes(status, "released_bytes", text),
		    (unsigned long long)n_rounds, plural(n_rounds));
	print_lost(ctl, status);
	output_pair(ctl, "Memory:", "%s private\n",
		    fields_bytes(status, "private_bytes", text));
}

/* A kill is what happened last until something is released after it, or for a day. */
static bool was_killed_last(const json_t *group, const json_t *last)
{
	uint64_t killed_usec, age_usec;

	if (!fields_find(group, "oom_kill_age_usec", &killed_usec) ||
	    killed_usec >= FIELDS_DAY_SEC * USEC_PER_SEC)
		return false;

	return !fields_find(last, "age_usec", &age_usec) || killed_usec <= age_usec;
}

/* "released 412M 3s ago", or why nothing. */
static void add_last_outcome(const struct ctl *ctl, struct table *table,
			     const json_t *group)
{
	const bool is_wide = ctl->width == 0 || ctl->width >= WIDE;
	const char *quiet = is_wide ? "quiet_reason_text" : "quiet_reason";
	const char *reason = is_wide ? "reason_text" : "reason";
	const json_t *last = json_object_get(group, "last_outcome");
	const char *kind = fields_string(last, "kind");
	char bytes[FORMAT_MAX], ago[FORMAT_MAX];

	if (was_killed_last(group, last)) {
		table_cell(table, COLOR_RED, "killed by the kernel %s ago",
			   fields_ago(group, "oom_kill_age_usec", ago));
		return;
	}
	if (!last && fields_number(group, "members") == 0) {
		table_cell(table, COLOR_DIM, "nothing: no guarded process is left");
		return;
	}
	/* Why it was so then, which need not be so now. */
	if (!last && json_object_get(group, "quiet_reason")) {
		table_cell(table, COLOR_DIM, "nothing %s ago: %s", fields_ago(group, "quiet_age_usec", ago),
			   fields_string(group, quiet));
		return;
	}
	if (!last) {
		table_cell(table, COLOR_DIM, "nothing: %s", fields_string(group, reason));
		return;
	}

	fields_ago(last, "age_usec", ago);
	if (streq(kind, "released"))
		table_cell(table, COLOR_NONE, "released %s%s %s ago",
			   fields_bytes(last, "released_bytes", bytes),
			   streq(fields_string(last, "method"), "borrow") ? " by borrowing"
									  : "",
			   ago);
	else if (streq(kind, "failed"))
		table_cell(table, COLOR_RED, "failed %s ago: nobody answered", ago);
	else
		table_cell(table, COLOR_DIM, "nothing %s ago: %s", ago,
			   fields_string(last, reason));
}

static void add_bar(const struct ctl *ctl, struct table *table, const json_t *group)
{
	char bar[OUTPUT_BAR_MAX];
	uint64_t permyriad;

	if (fields_find(group, "usage_permyriad", &permyriad))
		table_cell(table, color_of_state(fields_string(group, "state")), "%s",
			   output_bar(ctl, bar, BAR_CELLS, permyriad));
	else
		table_cell(table, COLOR_NONE, "%s", "");
}

/* Measured before the last release, and more than there is after it. */
static bool is_released(const json_t *group)
{
	const json_t *last = json_object_get(group, "last_outcome");

	return fields_number(last, "released_bytes") > 0 &&
	       fields_number(group, "heap_age_usec") > fields_number(last, "age_usec") &&
	       fields_number(group, "in_use_bytes") > fields_number(group, "anon_bytes");
}

/*
 * Beside usage that has come since, what was measured before says nothing; nor what those had who
 * have left.
 */
static const char *heap_bytes(const json_t *group, const char *key, char buf[static FORMAT_MAX])
{
	if (fields_number(group, "members") == 0)
		return "-";
	if (streq(fields_string(group, "verdict"), "unknown") && json_object_get(group, key))
		return "?";
	if (streq(key, "in_use_bytes") && is_released(group))
		return "?";

	return fields_bytes(group, key, buf);
}

static void add_group(const struct ctl *ctl, struct table *table, const json_t *group)
{
	const char *state = fields_string(group, "state");
	char usage[FORMAT_MAX], limit[FORMAT_MAX], in_use[FORMAT_MAX],
		retained[FORMAT_MAX];

	table_row(table);
	table_cell(table, COLOR_BOLD, "%s", fields_name(group));
	/* What can be killed for, as of the thresholds; of a shared limit others have the rest of the bar. */
	table_cell(table, COLOR_NONE, "%s", fields_bytes(group, "anon_bytes", usage));
	table_cell(table, COLOR_NONE, "%s", fields_bytes(group, "limit_bytes", limit));
	add_bar(ctl, table, group);
	table_cell(table, COLOR_NONE, "%s", heap_bytes(group, "in_use_bytes", in_use));
	table_cell(table, COLOR_NONE, "%s", heap_bytes(group, "retained_bytes", retained));
	table_cell(table, color_of_state(state), "%s", state);
	verdict_cell(table, group);
	add_last_outcome(ctl, table, group);
}

/* About the most urgent one. */
static void print_hint(const struct ctl *ctl, const json_t *group)
{
	char name[NAME_QUOTED_MAX];

	(void)name_quote(fields_name(group), name, sizeof(name));
	fputc('\n', ctl->out);
	if (streq(fields_string(group, "state"), "retaining"))
		output_hint(ctl, "memguardctl%s trim %s", ctl_user(ctl), name);
	else
		output_hint(ctl, "memguardctl%s explain %s", ctl_user(ctl), name);
}

static int print_groups(struct ctl *ctl, const json_t *groups)
{
	_cleanup_(table_freep) struct table *table = NULL;
	_cleanup_(urgency_freep) const json_t **sorted = NULL;
	const size_t n = json_array_size(groups);
	int r;

	if (n == 0) {
		nobody_guarded(ctl);
		return 0;
	}

	sorted = urgency_sort(groups);
	if (!sorted)
		return -ENOMEM;

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	for (size_t i = 0; i < n; i++)
		add_group(ctl, table, sorted[i]);

	r = table_print(table);
	if (r >= 0 && ctl->legend)
		print_hint(ctl, sorted[0]);
	return r;
}

static int tell_absence(const struct ctl *ctl)
{
	json_t *status = json_pack("{s:b}", "running", 0);

	(void)output_json(ctl, status);
	json_decref(status);
	return CTL_NOT_RUNNING;
}

int verb_status(struct ctl *ctl, int argc, char **argv)
{
	json_t *status = NULL, *groups = NULL;
	int r;

	(void)argc;
	(void)argv;

	r = client_call(ctl, "GetStatus", &status);
	if (r == CLIENT_NOT_RUNNING)
		return tell_absence(ctl);
	if (r >= 0)
		r = client_call_what(ctl, "ListGroups", "", &groups);

	if (r >= 0) {
		(void)json_object_set(status, "groups", groups);
		if (!output_json(ctl, status)) {
			print_header(ctl, status);
			r = print_groups(ctl, groups);
		}
	}

	json_decref(status);
	json_decref(groups);
	return client_exit(r);
}
