/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a round ended, as entries of a row. */

#include "agent/basic/macro.h"
#include "agent/report/journal.h"
#include "agent/report/rows.h"

static void put_method(struct dict *dict, const struct outcome *outcome)
{
	if (outcome->n_full + outcome->n_borrow == 0)
		return;

	dict_string(dict, "method", outcome_method(outcome));
	dict_string(dict, "method_reason", why_to_string(outcome->why));
	dict_string(dict, "method_reason_text", why_to_text(outcome->why));
	dict_u64(dict, "expected_stall_usec", outcome->expected_stall_usec);
	dict_u64(dict, "full_stall_usec", outcome->full_stall_usec);
	if (outcome->n_answered > 0)
		dict_u64(dict, "stall_usec", outcome->stall_usec);
	if (outcome->n_unreached > 0)
		dict_u32(dict, "n_unreached_arenas", outcome->n_unreached);
}

static void put_hurry(struct dict *dict, const struct outcome *outcome)
{
	if (outcome->hurried == REASON_NONE)
		return;

	dict_open_entry(dict, "hurried");
	dict_string(dict, "reason", reason_to_string(outcome->hurried));
	dict_string(dict, "reason_text", reason_to_text(outcome->hurried));
	dict_u64(dict, "after_usec", outcome->hurried_usec);
	dict_u32(dict, "overtaken", outcome->n_overtaken);
	dict_u32(dict, "ended_early", outcome->n_ended_early);
	dict_u64(dict, "overtaken_bytes", outcome->overtaken_bytes);
	dict_close_entry(dict);
}

static void put_verdict(struct dict *dict, const struct outcome *outcome)
{
	dict_string(dict, "verdict", verdict_to_string(outcome->verdict));
	dict_u32(dict, "confidence_percent", outcome->confidence_percent);
	rows_evidence(dict, outcome->evidence, outcome->n_evidence);
}

static void put_look(struct dict *dict, const struct outcome *outcome)
{
	const struct look *look = &outcome->look;

	if (look->state == LOOK_NONE)
		return;

	dict_open_entry(dict, "second_look");
	dict_string(dict, "state", look_state_to_string(look->state));
	if (look->state == LOOK_TAKEN) {
		dict_u64(dict, "age_usec", look->age_usec);
		dict_u64(dict, "returned_bytes", outcome_returned_bytes(outcome));
		dict_u64(dict, "usage_bytes", look->usage_bytes);
		dict_u64(dict, "rss_bytes", look->rss_bytes);
		dict_u32(dict, "processes", look->n_left);
		dict_u64(dict, "page_faults", look->n_faults);
		dict_u64(dict, "group_page_faults", look->n_group_faults);
		dict_u64(dict, "huge_pages_made", look->n_collapses);
		dict_bool(dict, "refilled", outcome_is_refilled(outcome));
	}
	dict_close_entry(dict);
}

void rows_figures(struct dict *dict, const struct outcome *outcome)
{
	dict_u64(dict, "round", outcome->round);
	dict_string(dict, "kind", outcome_kind_to_string(outcome->kind));
	dict_string(dict, "trigger", reason_to_string(outcome->trigger));
	dict_string(dict, "trigger_text", reason_to_text(outcome->trigger));
	if (outcome->kind == OUTCOME_NOTHING) {
		dict_string(dict, "reason", reason_to_string(outcome->reason));
		dict_string(dict, "reason_text", reason_to_text(outcome->reason));
	}
	dict_u64(dict, "ended_realtime_usec", outcome->realtime_usec);
	if (outcome->limit_bytes != BYTES_INFINITY)
		dict_u64(dict, "limit_bytes", outcome->limit_bytes);
	dict_u64(dict, "usage_before_bytes", outcome->usage_before_bytes);
	dict_u64(dict, "usage_after_bytes", outcome->usage_after_bytes);
	/* While nobody released usage also moves, as when who was asked ends, but that is not our doing. */
	dict_u64(dict, "released_bytes",
		 outcome->n_answered > 0 ? outcome_released_bytes(outcome) : 0);
	dict_u64(dict, "held_bytes", outcome_held_bytes(outcome));
	dict_u64(dict, "expected_bytes", outcome->expected_bytes);
	dict_u32(dict, "asked", outcome->n_asked);
	dict_u32(dict, "answered", outcome->n_answered);
	dict_u32(dict, "refused", outcome->n_refused);
	if (outcome->n_refused > 0) {
		dict_string(dict, "refused_reason", refusal_to_string(outcome->refusal));
		dict_string(dict, "refused_reason_text", refusal_to_text(outcome->refusal));
	}
	dict_u32(dict, "timed_out", outcome->n_timed_out);
	if (outcome->silence != SILENCE_NONE) {
		dict_string(dict, "timed_out_reason", silence_to_string(outcome->silence));
		dict_string(dict, "timed_out_reason_text", silence_to_text(outcome->silence));
		dict_u32(dict, "timed_out_pid", (uint32_t)outcome->silent_pid);
	}
	dict_u32(dict, "gone", outcome->n_gone);
	dict_u32(dict, "not_needed", outcome->n_not_needed);
	dict_u64(dict, "duration_usec", sub_sat(outcome->end_usec, outcome->begin_usec));
	put_method(dict, outcome);
	put_hurry(dict, outcome);
	put_verdict(dict, outcome);
	put_look(dict, outcome);
	if (outcome->n_answered == 0)
		return;

	/* Sums over those that answered. */
	dict_u64(dict, "rss_before_bytes", outcome->rss_before_bytes);
	dict_u64(dict, "rss_after_bytes", outcome->rss_after_bytes);
	dict_u64(dict, "longest_usec", outcome->longest_usec);
	dict_u64(dict, "released_in_usec", outcome->total_usec);
}

void rows_outcome(struct dict *dict, const struct group *group,
		  const struct outcome *outcome)
{
	char sentence[512];

	dict_string(dict, "path", group->path);
	dict_string(dict, "unit", group->unit);
	rows_figures(dict, outcome);
	journal_sentence(group, outcome, sentence, sizeof(sentence));
	dict_string(dict, "text", sentence);
}

static void put_kill(struct dict *dict, const struct kill *kill)
{
	dict_string(dict, "kind", "killed");
	dict_u64(dict, "ended_realtime_usec", kill->realtime_usec);
	dict_u64(dict, "killed", kill->n_processes);
	if (kill->limit_bytes != BYTES_INFINITY)
		dict_u64(dict, "limit_bytes", kill->limit_bytes);
	dict_u64(dict, "usage_after_bytes", kill->usage_bytes);
	dict_string(dict, "verdict", verdict_to_string(kill->verdict));
	dict_u32(dict, "confidence_percent", kill->confidence_percent);
}

void rows_past(struct dict *dict, const struct past *past)
{
	dict_string(dict, "name", past->name);
	dict_u64(dict, "group_id", past->group_id);
	if (past->outcome)
		rows_figures(dict, past->outcome);
	else
		put_kill(dict, past->kill);
}
