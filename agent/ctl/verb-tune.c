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
	enum { KNOB_NUMBER, KNOB_BYTES, KNOB_TIME } kind;
} knobs[] = {
	{ "ArenaMax", "arena_max", KNOB_NUMBER },
	{ "MmapThreshold", "mmap_threshold", KNOB_BYTES },
	{ "TrimThreshold", "trim_threshold", KNOB_BYTES },
	{ "TopPad", "top_pad", KNOB_BYTES },
	{ "DecaySec", "decay", KNOB_TIME },
};

/* By kind. */
static const char *const hints[] = { "a number such as 2", "a size such as 1M",
				     "a time such as 500ms, or 0" };

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

/* Times go over the bus in milliseconds, as the hook takes them. */
static int parse_value(size_t knob, const char *s, uint64_t *ret)
{
	uint64_t usec;
	int r;

	switch (knobs[knob].kind) {
	case KNOB_NUMBER:
		return parse_u64(s, ret);
	case KNOB_BYTES:
		return parse_bytes(s, ret);
	case KNOB_TIME:
		r = parse_usec(s, &usec);
		if (r >= 0)
			*ret = usec / USEC_PER_MSEC;
		return r;
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
			  "TrimThreshold, TopPad "
			  "or DecaySec",
			  (int)(equals - s), s);
		return -EINVAL;
	}

	r = parse_value(setting.knob, equals + 1, &setting.value);
	if (r < 0 || setting.value == BYTES_INFINITY) {
		log_error("%s cannot be \"%s\": write %s", knobs[setting.knob].key,
			  equals + 1,
			  hints[knobs[setting.knob].kind]);
		return -EINVAL;
	}

	/* Brought into range it would be 1, the strictest cap there is. */
	if (streq(knobs[setting.knob].key, "ArenaMax") && setting.value == 0) {
		log_error("ArenaMax cannot be 0: there is no way back from a cap but to restart the "
			  "program without it; write %s to change it", hints[KNOB_NUMBER]);
		return -EINVAL;
	}

	*ret = setting;
	return 0;
}

static void add_result(struct table *table, const json_t *row, size_t knob)
{
	const bool is_done = streq(fields_string(row, "status"), "ok");
	const char *next = fields_string(row, "next_start");
	char text[FORMAT_MAX];

	table_row(table);
	table_cell(table, COLOR_BOLD, "%llu",
		   (unsigned long long)fields_number(row, "pid"));
	table_cell(table, COLOR_NONE, "%s", fields_string(row, "command"));
	table_cell(table, COLOR_NONE, "%s", knobs[knob].key);
	if (is_done && knobs[knob].kind != KNOB_BYTES)
		table_cell(table, COLOR_NONE, "%llu%s",
			   (unsigned long long)fields_number(row, "value"),
			   knobs[knob].kind == KNOB_TIME ? "ms" : "");
	else
		table_cell(table, COLOR_NONE, "%s", fields_bytes(row, "value", text));
	table_cell(table, is_done && *next == '\0' ? COLOR_GREEN : COLOR_YELLOW, "%s%s%s",
		   fields_string(row, "text"), *next ? "; write in its unit: " : "", next);
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
