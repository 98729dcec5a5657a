/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What wakes the daemon, and what cannot: of the daemon, and of a group. */

#include "agent/basic/macro.h"
#include "agent/report/rows.h"

void rows_sources(struct dict *dict, const struct daemon_facts *facts)
{
	dict_open_entry(dict, "signals");
	for (int i = 0; i < SOURCE_MAX_; i++) {
		dict_open_entry(dict, source_to_string((enum source)i));
		dict_u64(dict, "armed", facts->sources[i].n_armed);
		dict_u64(dict, "failed", facts->sources[i].n_failed);
		if (facts->sources[i].n_failed > 0)
			dict_string(dict, "error", strerror(-facts->sources[i].error));
		dict_close_entry(dict);
	}
	dict_close_entry(dict);
}

void rows_group_sources(struct dict *dict, const struct group *group)
{
	dict_open_entry(dict, "signals");
	for (int i = 0; i < SOURCE_MAX_; i++) {
		const int state = group->sources[i];

		if (state != SOURCE_OFF)
			dict_string(dict, source_to_string((enum source)i),
				    state == SOURCE_ARMED ? "armed" : strerror(-state));
	}
	dict_close_entry(dict);
}
