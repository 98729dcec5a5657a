/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can be said about an outcome from its numbers alone. */

#include "agent/model/outcome.h"

#include "agent/basic/macro.h"

uint64_t outcome_released_bytes(const struct outcome *outcome)
{
	/*
	 * Usage can grow faster than a release shrinks it: that is "nothing", not less.
	 */
	return sub_sat(outcome->usage_before_bytes, outcome->usage_after_bytes);
}

bool outcome_is_quiet(const struct outcome *outcome)
{
	return outcome->kind == OUTCOME_NOTHING && outcome->trigger != REASON_COMMAND;
}

void outcome_diagnose(struct outcome *outcome, const struct diagnosis *diagnosis)
{
	outcome->verdict = diagnosis->verdict;
	outcome->confidence_percent = diagnosis->confidence_percent;
	outcome->n_evidence = MIN(diagnosis->n_evidence, OUTCOME_EVIDENCE_MAX);
	memcpy(outcome->evidence, diagnosis->evidence,
	       outcome->n_evidence * sizeof(outcome->evidence[0]));
}

const char *outcome_method(const struct outcome *outcome)
{
	if (outcome->n_full > 0 && outcome->n_borrow > 0)
		return "mixed";

	return outcome->n_borrow > 0 ? "borrow" : outcome->n_full > 0 ? "full" : "none";
}

const char *outcome_kind_to_string(enum outcome_kind kind)
{
	switch (kind) {
	case OUTCOME_RELEASED:
		return "released";
	case OUTCOME_NOTHING:
		return "nothing";
	case OUTCOME_FAILED:
		return "failed";
	}

	return "unknown";
}
