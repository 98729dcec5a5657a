/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl history: past rounds as the daemon remembers them, the newest last. */

#include <inttypes.h>
#include <time.h>

#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"
#include "agent/ctl/verdict.h"

static const struct table_column columns[] = {
	{ .name = "ROUND", .right = true, .least_width = 100 },
	{ .name = "TIME" },
	{ .name = "GROUP", .cut = true },
	{ .name = "TRIGGER" },
	{ .name = "METHOD", .least_width = 90 },
	{ .name = "PREDICTED", .right = true, .least_width = 90 },
	{ .name = "RELEASED", .right = true },
	{ .name = "STALL", .right = true },
	{ .name = "END", .least_width = 76 },
	{ .name = "VERDICT", .least_width = 110 },
};

/* "15:04:05" of today, else "11-24 15:04". */
static char *format_time(uint64_t realtime_usec, char *buf, size_t size)
{
	const time_t then = (time_t)(realtime_usec / USEC_PER_SEC), now = time(NULL);
	struct tm tm_then, tm_now;

	if (!localtime_r(&then, &tm_then) || !localtime_r(&now, &tm_now)) {
		snprintf(buf, size, "-");
		return buf;
	}

	(void)strftime(buf, size,
		       tm_then.tm_yday == tm_now.tm_yday && tm_then.tm_year == tm_now.tm_year
			       ? "%H:%M:%S"
			       : "%m-%d %H:%M",
		       &tm_then);
	return buf;
}

/* How it ended: "3 of 4 answered", or why nobody was asked. */
static void add_end(struct table *table, const json_t *round)
{
	const char *kind = fields_string(round, "kind");

	if (streq(kind, "nothing"))
		table_cell(table, COLOR_DIM, "nothing: %s", fields_string(round, "reason"));
	else if (streq(kind, "failed"))
		table_cell(table, COLOR_RED, "failed: nobody answered");
	else
		table_cell(table, COLOR_NONE, "%" PRIu64 " of %" PRIu64 " answered",
			   fields_number(round, "answered"), fields_number(round, "asked"));
}

static void add_round(struct table *table, const json_t *round)
{
	const bool asked = fields_number(round, "asked") > 0;
	const char *method = fields_string(round, "method");
	char text[FORMAT_MAX];

	table_row(table);
	table_cell(table, COLOR_DIM, "%" PRIu64, fields_number(round, "round"));
	table_cell(table, COLOR_NONE, "%s",
		   format_time(fields_number(round, "ended_realtime_usec"), text,
			       sizeof(text)));
	table_cell(table, COLOR_BOLD, "%s", fields_string(round, "name"));
	table_cell(table, COLOR_NONE, "%s", fields_string(round, "trigger"));
	table_cell(table, COLOR_NONE, "%s", method[0] != '\0' ? method : "-");
	table_cell(table, COLOR_NONE, "%s", fields_bytes(round, "expected_bytes", text));
	table_cell(table, asked ? COLOR_GREEN : COLOR_DIM, "%s",
		   asked ? fields_bytes(round, "released_bytes", text) : "-");
	table_cell(table, COLOR_NONE, "%s", fields_usec(round, "stall_usec", text));
	add_end(table, round);
	verdict_cell(table, round);
}

static int print_rounds(const struct ctl *ctl, const json_t *rounds)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *round;
	size_t i;
	int r;

	if (json_array_size(rounds) == 0) {
		if (ctl->legend)
			fputs("No round has asked anybody since memguardd was started; "
			      "\"memguardctl explain\" says why.\n",
			      ctl->out);
		return 0;
	}

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(rounds, i, round) add_round(table, round);

	r = table_print(table);
	if (r >= 0)
		output_note(ctl, "What was before is in the journal: journalctl -t memguardd");
	return r;
}

int verb_history(struct ctl *ctl, int argc, char **argv)
{
	json_t *rounds = NULL;
	int r;

	r = client_call_what(ctl, "ListRounds", argc > 1 ? argv[1] : "", &rounds);
	if (r >= 0 && !output_json(ctl, rounds))
		r = print_rounds(ctl, rounds);

	json_decref(rounds);
	return client_exit(r);
}
