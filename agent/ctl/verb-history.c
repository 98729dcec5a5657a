/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl history: past rounds and kills as the daemon remembers them, the newest last. */

#include <inttypes.h>
#include <time.h>

#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/nobody.h"
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
	{ .name = "BACK", .right = true, .least_width = 84 },
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

/* "3 of 4 answered, 190.0M held, 1 refused: filter, 1 timed out: stopped", or why nobody was asked. */
static void add_end(struct table *table, const json_t *round)
{
	const char *kind = fields_string(round, "kind");
	const uint64_t n_refused = fields_number(round, "refused");
	const uint64_t n_timed_out = fields_number(round, "timed_out");
	const uint64_t n_not_needed = fields_number(round, "not_needed");
	const json_t *hurried = json_object_get(round, "hurried");
	char held[FORMAT_MAX + 8] = "", refused[96] = "", spared[48] = "", text[FORMAT_MAX];
	char early[96] = "", silent[96] = "";

	if (fields_number(round, "held_bytes") > 0)
		snprintf(held, sizeof(held), ", %s held", fields_bytes(round, "held_bytes", text));
	if (n_refused > 0)
		snprintf(refused, sizeof(refused), ", %" PRIu64 " refused: %s", n_refused,
			 fields_string(round, "refused_reason"));
	if (n_timed_out > 0)
		snprintf(silent, sizeof(silent), ", %" PRIu64 " timed out%s%s", n_timed_out,
			 json_object_get(round, "timed_out_reason") ? ": " : "",
			 fields_string(round, "timed_out_reason"));
	if (hurried)
		snprintf(early, sizeof(early), ", hurried: %s", fields_string(hurried, "reason"));
	if (n_not_needed > 0)
		snprintf(spared, sizeof(spared), ", %" PRIu64 " not needed", n_not_needed);

	if (streq(kind, "nothing"))
		table_cell(table, COLOR_DIM, "nothing: %s", fields_string(round, "reason"));
	else if (streq(kind, "failed"))
		table_cell(table, COLOR_RED, "failed: nobody answered%s%s%s%s", refused,
			   silent, spared, early);
	else
		table_cell(table, COLOR_NONE, "%" PRIu64 " of %" PRIu64 " answered%s%s%s%s%s",
			   fields_number(round, "answered"), fields_number(round, "asked"),
			   held, refused, silent, spared, early);
}

/* How much of it is in use again. */
static void add_return(struct table *table, const json_t *round)
{
	const json_t *look = json_object_get(round, "second_look");
	const char *state = fields_string(look, "state");
	char text[FORMAT_MAX];

	if (streq(state, "taken"))
		table_cell(table, COLOR_NONE, "%s", fields_bytes(look, "returned_bytes", text));
	else
		table_cell(table, COLOR_DIM, "%s", state[0] != '\0' ? state : "-");
}

static void add_when_and_who(struct table *table, const json_t *row)
{
	char text[FORMAT_MAX];

	table_cell(table, COLOR_NONE, "%s",
		   format_time(fields_number(row, "ended_realtime_usec"), text, sizeof(text)));
	table_cell(table, COLOR_BOLD, "%s", fields_string(row, "name"));
}

/* In the columns of a round; narrow terminals have no END. */
static void add_kill(struct table *table, const json_t *kill)
{
	const uint64_t n = fields_number(kill, "killed");

	table_row(table);
	table_cell(table, COLOR_DIM, "-");
	add_when_and_who(table, kill);
	table_cell(table, COLOR_RED, "oom-kill");
	for (int i = 0; i < 5; i++)
		table_cell(table, COLOR_DIM, "-");
	table_cell(table, COLOR_RED, "the kernel killed %" PRIu64 " process%s", n,
		   n == 1 ? "" : "es");
	verdict_cell(table, kill);
}

static void add_round(struct table *table, const json_t *round)
{
	const bool asked = fields_number(round, "asked") > 0;
	const char *method = fields_string(round, "method");
	char text[FORMAT_MAX];

	table_row(table);
	table_cell(table, COLOR_DIM, "%" PRIu64, fields_number(round, "round"));
	add_when_and_who(table, round);
	table_cell(table, COLOR_NONE, "%s", fields_string(round, "trigger"));
	table_cell(table, COLOR_NONE, "%s", method[0] != '\0' ? method : "-");
	table_cell(table, COLOR_NONE, "%s",
		   streq(fields_string(round, "trigger"), "untold")
			   ? "-"
			   : fields_bytes(round, "expected_bytes", text));
	table_cell(table, asked ? COLOR_GREEN : COLOR_DIM, "%s",
		   asked ? fields_bytes(round, "released_bytes", text) : "-");
	add_return(table, round);
	table_cell(table, COLOR_NONE, "%s", fields_usec(round, "stall_usec", text));
	add_end(table, round);
	verdict_cell(table, round);
}

static int print_rounds(struct ctl *ctl, const char *what, const json_t *rounds)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *round;
	size_t i;
	int r;

	if (json_array_size(rounds) == 0) {
		nobody_asked(ctl, what);
		return 0;
	}

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(rounds, i, round)
	{
		if (streq(fields_string(round, "kind"), "killed"))
			add_kill(table, round);
		else
			add_round(table, round);
	}

	r = table_print(table);
	if (r >= 0)
		output_note(ctl, "What was before is in the journal: journalctl%s -t memguardd",
			    ctl_user(ctl));
	return r;
}

int verb_history(struct ctl *ctl, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	json_t *rounds = NULL;
	int r;

	r = client_call_what(ctl, "ListRounds", what, &rounds);
	if (r >= 0 && !output_json(ctl, rounds))
		r = print_rounds(ctl, what, rounds);

	json_decref(rounds);
	return client_exit(r);
}
