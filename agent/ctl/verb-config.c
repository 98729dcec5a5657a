/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl config: the settings in force, and the file and line each comes from. */

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

static int print_options(const struct ctl *ctl, const json_t *options)
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
	if (r >= 0)
		output_hint(
			ctl,
			"memguard.conf(5) explains each key; after a change: memguardctl "
			"verify, memguardctl reload");
	return r;
}

int verb_config(struct ctl *ctl, int argc, char **argv)
{
	json_t *options = NULL;
	int r;

	(void)argc;
	(void)argv;

	r = client_call(ctl, "GetConfig", &options);
	if (r >= 0 && !output_json(ctl, options))
		r = print_options(ctl, options);

	json_decref(options);
	return client_exit(r);
}
