/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl config: the settings in force, and the file and line each comes from. */

#include <fnmatch.h>
#include <unistd.h>

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

static bool is_meant(const char *section, const json_t *group)
{
	static const char service[] = "Service ", cgroup[] = "Cgroup ";

	if (strncmp(section, service, strlen(service)) == 0)
		return is_unit(section + strlen(service), fields_string(group, "unit"));
	if (strncmp(section, cgroup, strlen(cgroup)) == 0)
		return fnmatch(section + strlen(cgroup), fields_string(group, "path"), 0) == 0;

	return true;
}

/* A slip in a name is no mistake that a parser could find. */
static void print_idle_sections(const struct ctl *ctl, const json_t *options,
				const json_t *groups)
{
	const char *section, *last = "";
	const json_t *option, *group;
	bool found;
	size_t i, k;

	json_array_foreach(options, i, option)
	{
		section = fields_string(option, "section");
		if (streq(section, last))
			continue;

		last = section;
		found = is_meant(section, NULL);
		json_array_foreach(groups, k, group) found = found || is_meant(section, group);
		if (!found)
			output_note(ctl, "[%s] matches nothing that is guarded now.", section);
	}
}

static int print_options(const struct ctl *ctl, const json_t *options, const json_t *groups)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *option;
	size_t i;
	int r;

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(options, i, option) add_option(table, option);

	r = table_print(table);
	if (r >= 0 && groups)
		print_idle_sections(ctl, options, groups);
	if (r >= 0)
		output_hint(
			ctl,
			"memguard.conf(5) explains each key; after a change: memguardctl "
			"verify, memguardctl%s reload",
			ctl_user(ctl));
	return r;
}

int verb_config(struct ctl *ctl, int argc, char **argv)
{
	json_t *options = NULL, *groups = NULL;
	int r;

	(void)argc;
	(void)argv;

	r = client_call(ctl, "GetConfig", &options);
	if (r >= 0 && !output_json(ctl, options)) {
		/* Others do not see all groups. */
		if (geteuid() == 0)
			r = client_call_what(ctl, "ListGroups", "", &groups);
		if (r >= 0)
			r = print_options(ctl, options, groups);
	}

	json_decref(options);
	json_decref(groups);
	return client_exit(r);
}
