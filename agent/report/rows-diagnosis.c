/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A diagnosis as entries of a row: the numbers, and the same in words. */

#include "agent/basic/macro.h"
#include "agent/report/rows.h"
#include "agent/report/sentences.h"

void rows_evidence(struct dict *dict, const struct evidence *evidence, size_t n)
{
	char text[128];

	dict_open_rows_entry(dict, "evidence");
	for (size_t i = 0; i < n; i++) {
		const struct evidence *e = &evidence[i];

		dict_open(dict);
		dict_string(dict, "name", fact_to_string(e->fact));
		dict_u64(dict, "value", e->value);
		dict_string(dict, "text", sentences_fact(e, text, sizeof(text)));
		dict_close(dict);
	}
	dict_close_rows_entry(dict);
}

void rows_diagnosis(struct dict *dict, const struct group *group,
		    const struct member *member, const struct diagnosis *diagnosis)
{
	char text[SENTENCES_ADVICE_MAX];

	dict_string(dict, "verdict", verdict_to_string(diagnosis->verdict));
	dict_string(dict, "verdict_text", diagnosis_to_text(diagnosis));
	dict_u32(dict, "confidence_percent", diagnosis->confidence_percent);
	rows_evidence(dict, diagnosis->evidence, diagnosis->n_evidence);

	dict_open_rows_entry(dict, "advice");
	for (uint32_t i = 0; i < diagnosis->n_advice; i++) {
		const enum advice advice = diagnosis->advice[i];

		dict_open(dict);
		dict_string(dict, "name", advice_to_string(advice));
		dict_string(dict, "text", sentences_advice(advice, diagnosis, group, member,
							   text, sizeof(text)));
		dict_close(dict);
	}
	dict_close_rows_entry(dict);
}
