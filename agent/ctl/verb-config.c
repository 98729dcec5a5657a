/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl config: the settings in force, and the file and line each comes from. */

#include <inttypes.h>
#include <unistd.h>

#include "agent/basic/name.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"

static const struct table_column columns[] = {
	{ .name = "SECTION" },
	{ .name = "KEY" },
	{ .name = "VALUE" },
	{ .name = "FROM", .wrap = true },
};

static void add_option(struct table *table, const json_t *option)
{
	const char *file = fields_string(option, "file");

	table_row(table);
	table_cell(table, COLOR_DIM, "[%s]", fields_string(option, "section"));
	table_cell(table, COLOR_NONE, "%s", fields_string(option, "key"));
	table_cell(table, COLOR_BOLD, "%s", fields_string(option, "value"));
	if (file[0] == '\0')
		table_cell(table, COLOR_DIM, "default");
	else
		table_cell(table, COLOR_NONE, "%s:%llu", file,
			   (unsigned long long)fields_number(option, "line"));
}

/* As the daemon does it: @name is a unit, or a template that stands for all its instances. */
static bool is_unit(const char *name, const char *unit)
{
	const size_t prefix = strcspn(name, "@") + 1, n_name = strlen(name), n = strlen(unit);

	if (prefix < n_name && name[prefix] == '.')
		return n > n_name && strncmp(name, unit, prefix) == 0 &&
		       streq(name + prefix, unit + n - (n_name - prefix));

	return streq(name, unit);
}

static const char service[] = "Service ", cgroup[] = "Cgroup ";

static bool is_pattern(const char *section)
{
	return strncmp(section, cgroup, strlen(cgroup)) == 0;
}

/* For some groups only. */
static bool is_override(const char *section)
{
	return is_pattern(section) || strncmp(section, service, strlen(service)) == 0;
}

static bool is_meant(const char *section, const json_t *group)
{
	if (is_pattern(section))
		return name_matches(section + strlen(cgroup), fields_string(group, "path"));

	return is_unit(section + strlen(service), fields_string(group, "unit"));
}

static size_t count_meant(const char *section, const json_t *groups)
{
	const json_t *group;
	size_t i, n = 0;

	json_array_foreach(groups, i, group) n += is_meant(section, group);
	return n;
}

/* Of one group alone it is said only where the pattern fits a name that nobody has. */
static bool is_for_all(const char *section, size_t n_meant, size_t n_groups)
{
	return is_pattern(section) && n_meant > 0 && n_meant == n_groups &&
	       (n_groups > 1 || name_matches(section + strlen(cgroup), "/\177"));
}

/* For who reads JSON: the same on each setting of the section. */
static void note_matches(const json_t *options, const json_t *groups)
{
	json_t *option;
	size_t i;

	json_array_foreach(options, i, option)
	{
		const char *section = fields_string(option, "section");
		const size_t n = is_override(section) ? count_meant(section, groups) : 0;

		if (!is_override(section))
			continue;
		(void)json_object_set_new(option, "matched_groups", json_integer((json_int_t)n));
		(void)json_object_set_new(option, "matches_all",
					  json_boolean(is_for_all(section, n, json_array_size(groups))));
	}
}

/* Of the section that begins with the setting @i: settings come by key, not by line. */
static const json_t *highest_of(const json_t *options, size_t i)
{
	const json_t *highest = json_array_get(options, i), *option = highest;
	const char *section = fields_string(highest, "section");

	for (; option && streq(fields_string(option, "section"), section);
	     option = json_array_get(options, ++i))
		if (streq(fields_string(option, "file"), fields_string(highest, "file")) &&
		    fields_number(option, "line") < fields_number(highest, "line"))
			highest = option;

	return highest;
}

static void print_odd(const struct ctl *ctl, const json_t *option, const char *text)
{
	output_note(ctl, "%s:%" PRIu64 ": [%s] %s.", fields_string(option, "file"),
		    fields_number(option, "line"), fields_string(option, "section"), text);
}

/* A slip in a name or a pattern is no mistake that a parser could find. */
static void print_odd_sections(const struct ctl *ctl, const json_t *options)
{
	const char *last = "";
	const json_t *option;
	size_t i;

	json_array_foreach(options, i, option)
	{
		if (streq(fields_string(option, "section"), last) ||
		    !json_object_get(option, "matched_groups"))
			continue;

		last = fields_string(option, "section");
		if (fields_number(option, "matched_groups") == 0)
			print_odd(ctl, highest_of(options, i), "matches nothing that is guarded now");
		else if (fields_is(option, "matches_all"))
			print_odd(ctl, highest_of(options, i),
				  "matches all that is guarded now: it overrides the plain sections "
				  "everywhere");
	}
}

/* Whoever has just changed a file would take what is shown for that. */
static void print_refused(struct ctl *ctl)
{
	json_t *status = NULL;
	const char *state;

	if (client_call(ctl, "GetStatus", &status) >= 0) {
		state = fields_string(status, "config_state");
		if (!streq(state, "ok"))
			output_note(ctl, "These are the older settings, since the files have an error: %s; "
				    "mend it, then: memguardctl%s reload", state, ctl_user(ctl));
	}
	json_decref(status);
}

static int print_options(struct ctl *ctl, const json_t *options)
{
	_cleanup_(table_freep) struct table *table = NULL;
	char verify[CLIENT_VERIFY_MAX];
	const json_t *option;
	size_t i;
	int r;

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(options, i, option) add_option(table, option);

	r = table_print(table);
	if (r >= 0)
		print_refused(ctl);
	if (r >= 0)
		print_odd_sections(ctl, options);
	if (r >= 0)
		output_hint(
			ctl,
			"memguard.conf(5) explains each key; after a change: %s, memguardctl%s reload",
			client_verify(ctl, verify), ctl_user(ctl));
	return r;
}

int verb_config(struct ctl *ctl, int argc, char **argv)
{
	json_t *options = NULL, *groups = NULL;
	int r;

	(void)argc;
	(void)argv;

	r = client_call(ctl, "GetConfig", &options);
	/* Others do not see all groups, except of a daemon of their own. */
	if (r >= 0 && (geteuid() == 0 || ctl->user))
		r = client_call_what(ctl, "ListGroups", "", &groups);
	if (r >= 0 && groups)
		note_matches(options, groups);
	if (r >= 0 && !output_json(ctl, options))
		r = print_options(ctl, options);

	json_decref(options);
	json_decref(groups);
	return client_exit(r);
}
