/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The ladder of a group, as entries of a row. */

#include "agent/basic/macro.h"
#include "agent/report/rows.h"

void rows_steps(struct dict *dict, const struct group *group,
		const struct rung rungs[static STEP_MAX_], uint64_t now_usec)
{
	dict_open_rows_entry(dict, "steps");
	for (int i = 0; i < STEP_MAX_; i++) {
		const uint64_t last_usec = steps_last_usec(group->steps, (enum step)i);

		dict_open(dict);
		dict_string(dict, "step", step_to_string((enum step)i));
		dict_bool(dict, "due", rungs[i].due);
		dict_string(dict, "reason", reason_to_string(rungs[i].reason));
		dict_string(dict, "reason_text", reason_to_text(rungs[i].reason));
		dict_u32(dict, "this_hour", steps_n(group->steps, (enum step)i, now_usec));
		if (last_usec > 0)
			dict_u64(dict, "age_usec", sub_sat(now_usec, last_usec));
		dict_close(dict);
	}
	dict_close_rows_entry(dict);
	dict_u64(dict, "max_per_hour", group->settings->max_per_hour);
	dict_u64(dict, "tune_after", group->settings->tune_after);
	dict_u32(dict, "returned_in_a_row", group_benefit(group)->n_returned);
}
