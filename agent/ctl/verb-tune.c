/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl tune: allocator settings of running programs, one request per setting. */

#include <errno.h>
#include <strings.h>

#include "agent/basic/log.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"

static const struct table_column columns[] = {
	{ .name = "PID", .right = true },
	{ .name = "COMMAND" },
	{ .name = "SETTING" },
	{ .name = "VALUE", .right = true },
	{ .name = "RESULT", .wrap = true },
};

/* As in memguard.conf, and as in MEMGUARD_MALLOPT=. */
static const struct {
	const char *key, *variable;
	bool is_bytes;
} knobs[] = {
	{ "ArenaMax", "arena_max", false },
	{ "MmapThreshold", "mmap_threshold", true },
	{ "TrimThreshold", "trim_threshold", true },
	{ "TopPad", "top_pad", true },
};

struct setting {
	size_t knob; /* index */
	uint64_t value;
};

static int find_knob(const char *name, size_t n, size_t *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
		if ((strlen(knobs[i].key) == n &&
		     strncasecmp(knobs[i].key, name, n) == 0) ||
		    (strlen(knobs[i].variable) == n &&
		     strncasecmp(knobs[i].variable, name, n) == 0)) {
			*ret = i;
			return 0;
		}

	return -EINVAL;
}

static int parse_setting(const char *s, struct setting *ret)
{
	const char *equals = strchr(s, '=');
	struct setting setting;
	int r;

	if (!equals) {
		log_error("\"%s\" is no setting: write KEY=VALUE, such as ArenaMax=2", s);
		return -EINVAL;
	}

	if (find_knob(s, (size_t)(equals - s), &setting.knob) < 0) {
		log_error("There is no setting \"%.*s\": use ArenaMax, MmapThreshold, "
			  "TrimThreshold "
			  "or TopPad",
			  (int)(equals - s), s);
		return -EINVAL;
	}

	r = knobs[setting.knob].is_bytes ? parse_bytes(equals + 1, &setting.value)
					 : parse_u64(equals + 1, &setting.value);
	if (r < 0 || setting.value == BYTES_INFINITY) {
		log_error("%s cannot be \"%s\": write %s", knobs[setting.knob].key,
			  equals + 1,
			  knobs[setting.knob].is_bytes ? "a size such as 1M"
						       : "a number such as 2");
		return -EINVAL;
	}

	*ret = setting;
	return 0;
}

static void add_result(struct table *table, const json_t *row, size_t knob)
{
	const bool is_done = streq(fields_string(row, "status"), "ok");
	char text[FORMAT_MAX];

	table_row(table);
	table_cell(table, COLOR_BOLD, "%llu",
		   (unsigned long long)fields_number(row, "pid"));
	table_cell(table, COLOR_NONE, "%s", fields_string(row, "command"));
	table_cell(table, COLOR_NONE, "%s", knobs[knob].key);
	if (is_done && !knobs[knob].is_bytes)
		table_cell(table, COLOR_NONE, "%llu",
			   (unsigned long long)fields_number(row, "value"));
	else
		table_cell(table, COLOR_NONE, "%s", fields_bytes(row, "value", text));
	table_cell(table, is_done && !fields_is(row, "late") ? COLOR_GREEN : COLOR_YELLOW,
		   "%s", fields_string(row, "text"));
}

/* Adds the setting's name to each row of its answer, and the rows to @results. */
static int collect(json_t *results, json_t *answer, size_t knob)
{
	json_t *row;
	size_t i;

	json_array_foreach(
		answer, i,
		row) if (json_object_set_new(row, "key",
					     json_string(knobs[knob].variable)) <
			 0) return -ENOMEM;

	return json_array_extend(results, answer) < 0 ? -ENOMEM : 0;
}

static int apply(struct ctl *ctl, const char *what, const struct setting *setting,
		 json_t *results)
{
	json_t *answer = NULL;
	int r;

	r = client_call_tune(ctl, what, knobs[setting->knob].variable, setting->value,
			     &answer);
	if (r >= 0)
		r = collect(results, answer, setting->knob);

	json_decref(answer);
	return r;
}

static int print_results(const struct ctl *ctl, const json_t *results)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *row;
	size_t i, knob;
	int r;

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(results, i, row)
	{
		const char *key = fields_string(row, "key");

		if (find_knob(key, strlen(key), &knob) >= 0)
			add_result(table, row, knob);
	}

	return table_print(table);
}

static bool has_failed(const json_t *results)
{
	const json_t *row;
	size_t i;

	json_array_foreach(results, i, row) if (!streq(fields_string(row, "status"),
						       "ok")) return true;

	return false;
}

static int tune(struct ctl *ctl, const char *what, const struct setting *settings,
		size_t n)
{
	json_t *results = json_array();
	bool failed;
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = apply(ctl, what, &settings[i], results);
	if (r >= 0 && !output_json(ctl, results))
		r = print_results(ctl, results);

	failed = has_failed(results);
	json_decref(results);
	return failed ? CTL_FAILED : (int)client_exit(r);
}

int verb_tune(struct ctl *ctl, int argc, char **argv)
{
	struct setting settings[ARRAY_SIZE(knobs)];
	const size_t n = (size_t)argc - 2;

	/* All are looked at before the first is applied. */
	if (n > ARRAY_SIZE(settings)) {
		log_error("There are only %zu settings; give each of them once",
			  ARRAY_SIZE(settings));
		return CTL_USAGE;
	}

	for (size_t i = 0; i < n; i++)
		if (parse_setting(argv[i + 2], &settings[i]) < 0)
			return CTL_USAGE;

	return tune(ctl, argv[1], settings, n);
}
