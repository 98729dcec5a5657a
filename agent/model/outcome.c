/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can be said about an outcome from its numbers alone. */

#include "agent/model/outcome.h"

#include "agent/basic/macro.h"

/* The usual size of a huge page; what is held is of no less than one. */
#define HUGE_BYTES (2 * MIB)

/* A hook that does not measure it: no longer than all of the release. */
static uint64_t stall_of(const struct wire_reclaim_reply *reply)
{
	return reply->stall_usec > 0 ? MIN(reply->stall_usec, reply->duration_usec)
				     : reply->duration_usec;
}

static void count_times(struct outcome *outcome, const struct wire_reclaim_reply *reply)
{
	outcome->total_usec = add_sat(outcome->total_usec, reply->duration_usec);
	outcome->longest_usec = MAX(outcome->longest_usec, reply->duration_usec);
	outcome->stall_usec = MAX(outcome->stall_usec, stall_of(reply));
}

void outcome_count_answer(struct outcome *outcome, const struct wire_reclaim_reply *reply)
{
	/* Claims of the process: whatever they are, the sums must not wrap. */
	outcome->n_answered++;
	outcome->rss_before_bytes = add_sat(outcome->rss_before_bytes, reply->rss_before);
	outcome->rss_after_bytes = add_sat(outcome->rss_after_bytes, reply->rss_after);
	if (reply->method == WIRE_METHOD_BORROW && reply->end == WIRE_END_DONE)
		outcome->n_unreached += MIN((uint32_t)sub_sat(reply->n_arenas, reply->n_reached),
					    UINT32_MAX - outcome->n_unreached);
	count_times(outcome, reply);
}

void outcome_count_overtaken(struct outcome *outcome, const struct wire_reclaim_reply *reply)
{
	/* Where it was overtaken the program grew meanwhile, which the difference in RSS hides. */
	const uint64_t given = MAX(sub_sat(reply->rss_before, reply->rss_after),
				   MIN(reply->dropped, reply->rss_before));

	outcome->n_ended_early += reply->end == WIRE_END_ASKED;
	outcome->overtaken_bytes = add_sat(outcome->overtaken_bytes, given);
	/* What it holds is in the other answer: here only the difference. */
	outcome->rss_before_bytes = add_sat(outcome->rss_before_bytes, given);
	count_times(outcome, reply);
}

void outcome_count_refusal(struct outcome *outcome, enum refusal refusal)
{
	if (outcome->n_refused++ == 0)
		outcome->refusal = refusal;
}

void outcome_count_silence(struct outcome *outcome, pid_t pid, enum silence silence)
{
	if (outcome->n_timed_out++ > 0)
		return;

	outcome->silence = silence;
	outcome->silent_pid = pid;
}

void outcome_count_method(struct outcome *outcome, const struct pick *pick)
{
	if (outcome->n_full + outcome->n_borrow == 0)
		outcome->why = pick->why;
	if (pick->method == METHOD_BORROW)
		outcome->n_borrow++;
	else
		outcome->n_full++;

	outcome->expected_stall_usec = MAX(outcome->expected_stall_usec, pick->stall_usec);
	outcome->full_stall_usec = MAX(outcome->full_stall_usec, pick->full_stall_usec);
}

uint64_t outcome_released_bytes(const struct outcome *outcome)
{
	/*
	 * Usage can grow faster than a release shrinks it: that is "nothing", not less.
	 */
	return sub_sat(outcome->usage_before_bytes, outcome->usage_after_bytes);
}

uint64_t outcome_held_bytes(const struct outcome *outcome)
{
	const uint64_t given = sub_sat(outcome->rss_before_bytes, outcome->rss_after_bytes);
	const uint64_t uncharged = MIN(given, outcome_released_bytes(outcome));
	const uint64_t held = MIN(sub_sat(outcome->held_after_bytes, outcome->held_before_bytes),
				  given - uncharged);

	/* The kernel's counters lag by some pages for each CPU. */
	return held < HUGE_BYTES ? 0 : held;
}

uint64_t outcome_returned_bytes(const struct outcome *outcome)
{
	const struct look *look = &outcome->look;
	const uint64_t grown = sub_sat(look->usage_bytes, outcome->usage_after_bytes);

	return MIN(outcome_released_bytes(outcome), MIN(grown, look->rss_grown_bytes));
}

bool outcome_is_refilled(const struct outcome *outcome)
{
	const uint64_t returned = outcome_returned_bytes(outcome);

	return returned >= HUGE_BYTES && outcome->look.n_collapses >= returned / 2 / HUGE_BYTES &&
	       outcome->look.n_collapses > 0;
}

enum reason outcome_cause(const struct outcome *outcome)
{
	return outcome->hurried != REASON_NONE ? outcome->hurried : outcome->trigger;
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

static const struct {
	const char *name;
	const char *text;
} refusals[REFUSAL_MAX_] = {
	[REFUSAL_NONE] = { "none", "" },
	[REFUSAL_FILTER] = { "filter", "it has put a system call filter on its threads" },
	[REFUSAL_BUSY] = { "busy", "it is still at another question: try again" },
	[REFUSAL_CHANNEL] = { "channel", "the question could not be sent: it may be ending" },
	[REFUSAL_BORROW] = { "no-borrow", "its hook cannot borrow: try --method=full" },
	[REFUSAL_UNSUPPORTED] = { "unsupported", "its allocator has no way to give back" },
	[REFUSAL_DECLINED] = { "declined", "its hook declined" },
	[REFUSAL_FAILED] = { "failed", "its hook tried and could not" },
};

const char *refusal_to_string(enum refusal refusal)
{
	return (unsigned int)refusal < REFUSAL_MAX_ ? refusals[refusal].name : "unknown";
}

const char *refusal_to_text(enum refusal refusal)
{
	return (unsigned int)refusal < REFUSAL_MAX_
		       ? refusals[refusal].text
		       : "the reason is unknown to this version";
}

static const struct {
	const char *name;
	const char *text;
} silences[SILENCE_MAX_] = {
	[SILENCE_NONE] = { "none", "" },
	[SILENCE_STOPPED] = { "stopped", "is stopped: SIGCONT lets it go on" },
	[SILENCE_TRACED] = { "traced", "is held by a debugger: let it go on there" },
	[SILENCE_FROZEN] = { "frozen", "is frozen with its control group: thaw that" },
	[SILENCE_STILL] = { "still", "takes no CPU time: see whether it is frozen or starved" },
	[SILENCE_WORKING] = { "working", "is still at work" },
};

const char *silence_to_string(enum silence silence)
{
	return (unsigned int)silence < SILENCE_MAX_ ? silences[silence].name : "unknown";
}

const char *silence_to_text(enum silence silence)
{
	return (unsigned int)silence < SILENCE_MAX_ ? silences[silence].text
						    : "did not, and why is unknown to this version";
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

const char *look_state_to_string(enum look_state state)
{
	switch (state) {
	case LOOK_NONE:
		return "none";
	case LOOK_DUE:
		return "due";
	case LOOK_TAKEN:
		return "taken";
	case LOOK_GONE:
		return "gone";
	}

	return "unknown";
}
