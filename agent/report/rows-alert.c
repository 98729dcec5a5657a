/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/rows-alert.h"

#include "agent/basic/macro.h"
#include "agent/report/journal-alert.h"

static void add_figures(struct dict *dict, const struct group *group,
			const struct alert *alert)
{
	if (group->reading.limit_bytes != BYTES_INFINITY)
		dict_u64(dict, "limit_bytes", group->reading.limit_bytes);
	dict_u64(dict, "usage_bytes", group->reading.usage_bytes);
	dict_u64(dict, "anon_bytes", group->reading.anon_bytes);
	dict_u64(dict, "others_bytes", group->reading.others_bytes);
	dict_i64(dict, "growth_bytes_per_sec", alert->growth_bytes_per_sec);
	if (alert->eta_usec != USEC_INFINITY)
		dict_u64(dict, "eta_usec", alert->eta_usec);
	if (group->heap.time_usec > 0) {
		dict_u64(dict, "in_use_bytes", alert->use.in_use_bytes);
		dict_u64(dict, "retained_bytes", group->heap.retained_bytes);
	}
}

void rows_alert(struct dict *dict, const struct group *group, const struct alert *alert)
{
	char sentence[640];

	dict_string(dict, "alert", alert_kind_to_string(alert->kind));
	dict_string(dict, "path", group->path);
	dict_string(dict, "unit", group->unit);
	dict_u64(dict, "id", group->id);
	add_figures(dict, group, alert);
	dict_string(dict, "verdict", alert->verdict);
	if (alert->kind == ALERT_OOM_KILL) {
		dict_u64(dict, "oom_kills", alert->n_oom_kills);
		dict_u64(dict, "shared_oom_kills", alert->n_beside);
	}
	dict_u64(dict, "held_back", alert->n_held_back);
	journal_alert_sentence(group, alert, sentence, sizeof(sentence));
	dict_string(dict, "text", sentence);
}
