/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl record: a decision and what it was made from, to be replayed elsewhere. */

#include "agent/basic/log.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/output.h"
#include "agent/ctl/verbs.h"

static void print_lines(const struct ctl *ctl, const json_t *lines)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line)
		fprintf(ctl->out, "%s\n", fields_string(line, "line"));
}

int verb_record(struct ctl *ctl, int argc, char **argv)
{
	const char *when = argc > 2 ? argv[2] : "now";
	json_t *lines = NULL;
	int r;

	if (!streq(when, "now") && !streq(when, "last")) {
		log_error("\"%s\" is not a moment to record: say \"now\" or \"last\"", when);
		return CTL_USAGE;
	}

	r = client_call_what(ctl, streq(when, "last") ? "RecordLast" : "Record", argv[1], &lines);
	if (r >= 0 && !output_json(ctl, lines))
		print_lines(ctl, lines);

	json_decref(lines);
	return client_exit(r);
}
