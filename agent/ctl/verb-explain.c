/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl explain: each signal against its threshold, and what follows. */

#include <errno.h>
#include <inttypes.h>

#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/growth.h"
#include "agent/ctl/ladder.h"
#include "agent/ctl/nobody.h"
#include "agent/ctl/signals.h"
#include "agent/ctl/sources.h"
#include "agent/ctl/urgency.h"
#include "agent/ctl/verbs.h"
#include "agent/ctl/verdict.h"

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void print_limit(const struct ctl *ctl, const json_t *group)
{
	char others[FORMAT_MAX];

	if (json_object_get(group, "limit_of"))
		output_pair(ctl, "Limit:",
			    "it is that of %s, of which others there have %s; usage below is of all",
			    fields_string(group, "limit_of"),
			    fields_bytes(group, "others_bytes", others));
}

/* The kernel's counters are never quite in step: less is nothing. */
#define LEAST_HELD (UINT64_C(2) << 20)

static void print_held(const struct ctl *ctl, const json_t *group)
{
	char held[FORMAT_MAX];

	if (fields_number(group, "held_bytes") >= LEAST_HELD)
		output_pair(ctl, "Held:",
			    "%s are freed but still charged, as parts of huge pages; the kernel "
			    "takes them back when it reclaims, before it kills",
			    fields_bytes(group, "held_bytes", held));
}

/* Of a restarted service the kill was in the group before. */
static void print_kills(const struct ctl *ctl, const json_t *group)
{
	const uint64_t n = fields_number(group, "oom_kills");
	const bool is_seen = json_object_get(group, "oom_kill_age_usec");
	char ago[FORMAT_MAX], last[FORMAT_MAX + 32] = "";

	if (is_seen)
		fields_ago(group, "oom_kill_age_usec", ago);
	if (is_seen && n > 0)
		snprintf(last, sizeof(last), ", the last one %s ago", ago);
	if (n > 0)
		output_pair(ctl, "Kills:", "the kernel's OOM killer acted here %" PRIu64 " time%s%s",
			    n, plural(n), last);
	else if (is_seen)
		output_pair(ctl, "Kills:", "the kernel's OOM killer acted %s ago, before this began", ago);
}

static void print_state(const struct ctl *ctl, const json_t *group)
{
	char usage[FORMAT_MAX], limit[FORMAT_MAX], age[FORMAT_MAX], rate[GROWTH_MAX];

	fprintf(ctl->out, "%s%s %s%s\n", output_color(ctl, COLOR_BOLD),
		output_bullet(ctl), fields_name(group), output_color(ctl, COLOR_NONE));
	output_pair(ctl, "State:", "%s for %s: %s", fields_string(group, "state"),
		    fields_round_usec(fields_number(group, "state_age_usec"), age),
		    fields_string(group, "reason_text"));

	if (json_object_get(group, "usage_bytes"))
		output_pair(ctl, "Usage:", "%s with page cache, %s limit, %s",
			    fields_bytes(group, "usage_bytes", usage),
			    json_object_get(group, "limit_bytes")
				    ? fields_bytes(group, "limit_bytes", limit)
				    : "no",
			    growth_text(group, rate));
	else
		output_pair(ctl, "Usage:", "not read yet");
	print_limit(ctl, group);
	print_held(ctl, group);

	verdict_print(ctl, group);
	print_kills(ctl, group);
	if (fields_number(group, "shared_oom_kills") > 0)
		output_pair(ctl, "Beside:",
			    "the kernel's OOM killer acted %" PRIu64 " time%s in other groups "
			    "for a limit that this one shares",
			    fields_number(group, "shared_oom_kills"),
			    plural(fields_number(group, "shared_oom_kills")));
}

/* The table has what counts, which is not what was written. */
static void print_clash(const struct ctl *ctl, const json_t *group)
{
	if (json_object_get(group, "clash_text"))
		output_pair(ctl, "Settings:", "%s", fields_string(group, "clash_text"));
}

/* What is rarely asked for comes after what is always. */
static void print_source(const struct ctl *ctl, const json_t *group)
{
	const uint64_t n_members = fields_number(group, "members");

	output_pair(ctl, "Group:", "%s, %s, %" PRIu64 " guarded process%s",
		    fields_string(group, "kind"), fields_string(group, "path"), n_members,
		    n_members == 1 ? "" : "es");
	sources_print(ctl, json_object_get(group, "signals"));
}

/* ", by borrow, stalling for at most 1.2ms" */
static char *how_last(const json_t *last, char *buf, size_t size)
{
	const char *method = fields_string(last, "method");
	char stall[FORMAT_MAX];

	if (streq(method, "mixed"))
		method = "both methods";
	if (method[0] == '\0')
		buf[0] = '\0';
	else if (json_object_get(last, "stall_usec"))
		snprintf(buf, size, ", by %s, stalling for at most %s", method,
			 fields_usec(last, "stall_usec", stall));
	else
		snprintf(buf, size, ", by %s", method);
	return buf;
}

/* "2 of 3 processes answered, in at most 12ms each" */
static char *who_answered(const json_t *last, char *buf, size_t size)
{
	const uint64_t n_answered = fields_number(last, "answered"), n_asked = fields_number(last, "asked");
	char longest[FORMAT_MAX], why[160];

	fields_silent(last, why, sizeof(why));
	if (n_answered == 0)
		snprintf(buf, size, "none of %" PRIu64 " process%s answered%s", n_asked,
			 n_asked == 1 ? "" : "es", why);
	else
		snprintf(buf, size, "%" PRIu64 " of %" PRIu64 " process%s answered, in at most %s%s%s",
			 n_answered, n_asked, n_asked == 1 ? "" : "es",
			 fields_usec(last, "longest_usec", longest), n_answered == 1 ? "" : " each", why);
	return buf;
}

/* "12.0M of it are in use again after 1min, with 3120 page faults" */
static void print_look(const struct ctl *ctl, const json_t *look)
{
	const char *state = fields_string(look, "state");
	char bytes[FORMAT_MAX], age[FORMAT_MAX];

	if (streq(state, "gone"))
		output_pair(ctl, "Since:", "no process that released is left");
	else if (streq(state, "taken"))
		output_pair(ctl, "Since:",
			    "%s of it were in use again after %s, with %" PRIu64 " page faults%s",
			    fields_bytes(look, "returned_bytes", bytes),
			    fields_round_usec(fields_number(look, "age_usec"), age),
			    fields_number(look, "page_faults"),
			    fields_is(look, "refilled") ?
				    "; khugepaged has filled it up to huge pages: lower its "
				    "max_ptes_none, see memguard(8)" : "");
}

/* "312ms after its begin usage is above UsageCritical=: 1 borrowing ended early, after 40.0M" */
static void print_hurry(const struct ctl *ctl, const json_t *hurried)
{
	const uint64_t n_overtaken = fields_number(hurried, "overtaken");
	char after[FORMAT_MAX], given[FORMAT_MAX], how[96] = "";

	if (!hurried)
		return;

	if (n_overtaken > 0)
		snprintf(how, sizeof(how),
			 "; %" PRIu64 " of %" PRIu64 " borrowing%s ended early for it, after %s",
			 fields_number(hurried, "ended_early"), n_overtaken, plural(n_overtaken),
			 fields_bytes(hurried, "overtaken_bytes", given));
	output_pair(ctl, "Hurried:", "%s after it began, because %s%s",
		    fields_usec(hurried, "after_usec", after),
		    fields_string(hurried, "reason_text"), how);
}

static void print_spared(const struct ctl *ctl, uint64_t n)
{
	if (n > 0)
		output_pair(ctl, "Not needed:",
			    "%" PRIu64 " more process%s: usage was low enough before", n,
			    n == 1 ? "" : "es");
}

/* Of whom nothing is known nothing is predicted, which is not the same as 0. */
static char *of_expected(const json_t *last, char *buf, size_t size)
{
	char expected[FORMAT_MAX];

	if (streq(fields_string(last, "trigger"), "untold"))
		snprintf(buf, size, "where nothing could be predicted");
	else if (fields_number(last, "expected_bytes") == 0)
		snprintf(buf, size, "where nothing was expected");
	else
		snprintf(buf, size, "of %s expected", fields_bytes(last, "expected_bytes", expected));
	return buf;
}

static void print_last_round(const struct ctl *ctl, const json_t *last)
{
	const bool asked = fields_number(last, "asked") > 0;
	char released[FORMAT_MAX], expected[FORMAT_MAX + 32], longest[FORMAT_MAX],
		ago[FORMAT_MAX], how[256], who[256], held[FORMAT_MAX + 32] = "";

	if (!asked) {
		output_pair(ctl, "Last:",
			    "round %" PRIu64 ", %s ago, because %s: nobody was asked, "
			    "for %s",
			    fields_number(last, "round"),
			    fields_ago(last, "age_usec", ago),
			    fields_string(last, "trigger_text"),
			    fields_string(last, "reason_text"));
		return;
	}

	if (fields_number(last, "held_bytes") > 0)
		snprintf(held, sizeof(held), " and %s still charged",
			 fields_bytes(last, "held_bytes", longest));

	output_pair(ctl, "Last:",
		    "round %" PRIu64 ", %s ago, because %s: released %s %s%s%s; %s",
		    fields_number(last, "round"),
		    fields_ago(last, "age_usec", ago),
		    fields_string(last, "trigger_text"),
		    fields_bytes(last, "released_bytes", released),
		    of_expected(last, expected, sizeof(expected)), held,
		    how_last(last, how, sizeof(how)), who_answered(last, who, sizeof(who)));
	print_hurry(ctl, json_object_get(last, "hurried"));
	print_spared(ctl, fields_number(last, "not_needed"));
	print_look(ctl, json_object_get(last, "second_look"));
}

/* The longer of the two is waited for. */
static void print_calm_backoff(const struct ctl *ctl, const json_t *group)
{
	const uint64_t calm_usec = fields_number(group, "calm_backoff_usec");
	char usec[FORMAT_MAX];

	if (calm_usec <= fields_number(group, "backoff_usec"))
		return;

	output_pair(ctl, "Back-off:",
		    "%s: while all is calm the next waits %s longer than otherwise",
		    fields_number(group, "returned_in_a_row") > 0
			    ? "what releases gave lately was in use again soon"
			    : "a release that was tried lately gave too little",
		    format_usec(usec, calm_usec));
}

/* Near a kill it is another one; see memguard(8). */
static void print_backoff(const struct ctl *ctl, const json_t *group)
{
	const uint64_t critical_bytes = fields_number(group, "usage_critical_bytes");
	const bool critical = critical_bytes > 0 && signals_taken_bytes(group) >= critical_bytes;
	const char *key = critical ? "urgent_backoff_usec" : "backoff_usec";
	char usec[FORMAT_MAX];

	if (fields_number(group, key) > 0)
		output_pair(ctl, "Back-off:",
			    "releases gave too little lately: the next waits %s longer than "
			    "otherwise, unless something changes",
			    fields_usec(group, key, usec));
	if (!critical)
		print_calm_backoff(ctl, group);
}

/* What kept an earlier one from asking is no news after one that asked. */
static bool was_quiet_since(const json_t *group, const json_t *last)
{
	uint64_t age_usec;

	if (fields_string(group, "quiet_reason_text")[0] == '\0')
		return false;

	return !fields_find(last, "age_usec", &age_usec) ||
	       fields_number(group, "quiet_age_usec") <= age_usec;
}

static void print_past(const struct ctl *ctl, const json_t *group)
{
	const json_t *last = json_object_get(group, "last_outcome");
	const uint64_t n_rounds = fields_number(group, "rounds");
	char released[FORMAT_MAX], ago[FORMAT_MAX];

	if (n_rounds > 0)
		output_pair(ctl, "So far:", "%" PRIu64 " round%s released %s", n_rounds,
			    plural(n_rounds),
			    fields_bytes(group, "released_bytes", released));
	if (last)
		print_last_round(ctl, last);
	else if (n_rounds == 0)
		output_pair(ctl, "So far:", "no process of the group was ever asked");
	if (was_quiet_since(group, last))
		output_pair(
			ctl, "Not asked:", "%s ago a round asked nobody: %s",
			fields_round_usec(fields_number(group, "quiet_age_usec"), ago),
			fields_string(group, "quiet_reason_text"));
	print_backoff(ctl, group);
}

/* From the limit's side: what has to happen for a round. */
static void print_next_calm(const struct ctl *ctl, const json_t *group)
{
	char bytes[FORMAT_MAX], retained[FORMAT_MAX];
	const uint64_t high = fields_number(group, "retained_high_bytes");

	if (json_object_get(group, "usage_high_bytes"))
		output_pair(ctl, "Next:",
			    "a round begins when usage reaches %s, or as soon as one "
			    "of the other thresholds above is reached",
			    fields_bytes(group, "usage_high_bytes", bytes));
	else if (high > 0)
		output_pair(
			ctl, "Next:",
			"a round begins when %s are retained while the group is "
			"quiet; without a limit (MemoryMax=) usage alone is no reason",
			format_bytes(retained, high));
	else
		output_pair(ctl, "Next:",
			    "nothing: give the group a limit (MemoryMax=), or set "
			    "RetainedHigh=");
}

#define NOBODY_LEFT "nobody-left" /* no reason of the daemon's */

/* Why the gate is closed although a threshold is reached, by the reason's name. */
static const struct {
	const char *reason, *next;
} waits[] = {
	{ "stall", "it is asked as soon as it is idle or a kill is near: raise "
		   "StallBudgetMSec= to "
		   "accept longer stalls" },
	{ NOBODY_LEFT, "nothing: no guarded process is left there; one that is started there with the "
		       "hook is guarded again" },
	{ "no-members", "nothing: none of its processes can be asked; NOTE in memguardctl list says why" },
	{ "observe", "nothing: set Mode=trim to have memory released" },
	{ "max-per-hour", "nothing within this hour: raise MaxPerHour=, or the limit" },
	{ "busy", "the round that is running ends" },
	{ "others", "its turn comes when one of the others is done; near its limit it does not wait" },
};

/* What fills the group is no retained memory: a release would change nothing. */
static bool is_beyond_release(const json_t *group)
{
	static const char *const verdicts[] = { "growing", "fragmented", "not-malloc" };

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (streq(fields_string(group, "verdict"), verdicts[i]))
			return true;

	return false;
}

static void print_next_beyond(const struct ctl *ctl, const json_t *group)
{
	char left[FORMAT_MAX];
	uint64_t eta;

	if (fields_find(group, "eta_usec", &eta) && eta < FIELDS_DAY_SEC * USEC_PER_SEC)
		output_pair(ctl, "Next:",
			    "no release can help, see \"Try\" above; at this growth the limit is "
			    "reached in %s, and the kernel kills there",
			    fields_round_usec(eta, left));
	else
		output_pair(ctl, "Next:", "no release can help, see \"Try\" above");
}

/* When the alert for it is told. */
#define NEAR_SEC 60

/* What is expected is from figures that may be older than what the program has freed. */
static void print_next_worth(const struct ctl *ctl, const json_t *group)
{
	const bool is_near = signals_taken_bytes(group) >= fields_number(group, "usage_high_bytes") &&
			     json_object_get(group, "usage_high_bytes");
	char age[FORMAT_MAX], measured[FORMAT_MAX + 32] = "it is not measured yet", kill[64] = "";
	uint64_t usec;

	if (fields_find(group, "eta_usec", &usec) && usec <= NEAR_SEC * USEC_PER_SEC)
		snprintf(kill, sizeof(kill), "; at this growth the kernel kills in %s",
			 fields_round_usec(usec, age));
	if (fields_find(group, "heap_age_usec", &usec))
		snprintf(measured, sizeof(measured), "it was measured %s ago",
			 fields_round_usec(MAX(usec, USEC_PER_SEC), age));
	output_pair(ctl, "Next:", "nothing, until more can be expected: %s, and is again %s; lower "
		    "MinRelease= to ask for less%s", measured,
		    is_near ? "every few seconds" : "some 2s after it has worked and usage is steady", kill);
}

static void print_next_threshold(const struct ctl *ctl, const json_t *group)
{
	char left[FORMAT_MAX];
	uint64_t eta;

	if (fields_find(group, "eta_usec", &eta) && eta <= NEAR_SEC * USEC_PER_SEC)
		output_pair(ctl, "Next:",
			    "at this growth the limit is reached in %s, and the kernel kills there",
			    fields_round_usec(eta, left));
	else if (streq(fields_string(group, "reason"), "unsteady"))
		output_pair(ctl, "Next:",
			    "a round begins when usage has been steady for some 2s, or as soon as another "
			    "threshold above is reached; memguardctl trim does not wait");
	else
		print_next_calm(ctl, group);
}

static void print_next(const struct ctl *ctl, const json_t *group)
{
	const char *reason = fields_string(group, "reason");
	char left[FORMAT_MAX];

	if (fields_number(group, "members") == 0)
		reason = NOBODY_LEFT;
	else if (streq(fields_string(group, "mode"), "observe"))
		reason = "observe";

	if (streq(reason, "not-worth") && is_beyond_release(group)) {
		print_next_beyond(ctl, group);
		return;
	}
	if (streq(reason, "not-worth")) {
		print_next_worth(ctl, group);
		return;
	}

	for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
		if (streq(reason, waits[i].reason)) {
			output_pair(ctl, "Next:", "%s", waits[i].next);
			return;
		}

	if (streq(reason, "backoff"))
		output_pair(ctl, "Next:",
			    "a round in %s, or near the limit as soon as something changes",
			    fields_usec(group, "settling_left_usec", left));
	else if (streq(reason, "returned"))
		output_pair(ctl, "Next:",
			    "a round in %s, or as soon as another threshold above is reached",
			    fields_usec(group, "settling_left_usec", left));
	else if (streq(fields_string(group, "state"), "settling"))
		output_pair(ctl, "Next:",
			    "readings settle for another %s, then everything is looked "
			    "at again",
			    fields_usec(group, "settling_left_usec", left));
	else if (streq(fields_string(group, "state"), "calm"))
		print_next_threshold(ctl, group);
	else
		output_pair(ctl, "Next:", "a round asks the processes that retain most");
}

/* "would use borrow, because a full trim would stall for about 38ms, budget 5ms" */
static void print_plan(const struct ctl *ctl, const json_t *group)
{
	const json_t *plan = json_object_get(group, "plan");
	const char *reason = fields_string(plan, "method_reason");
	char full[FORMAT_MAX], stall[FORMAT_MAX], budget[FORMAT_MAX];

	fields_usec(plan, "full_stall_usec", full);
	fields_usec(group, "stall_budget_usec", budget);
	fields_usec(plan, "expected_stall_usec", stall);
	if (reason[0] == '\0') {
		if (streq(fields_string(plan, "reason"), "stall"))
			output_pair(ctl, "Method:",
				    "would wait: no process can be released from without a "
				    "stall above the budget of %s",
				    budget);
		return;
	}

	if (streq(reason, "stall"))
		output_pair(ctl, "Method:",
			    "would use borrow, stalling for about %s, because a full trim "
			    "would stall for about %s, budget %s",
			    stall, full, budget);
	else if (streq(reason, "fits"))
		output_pair(ctl, "Method:",
			    "would use full: its stall of about %s fits the budget of %s", full,
			    budget);
	else
		output_pair(ctl, "Method:",
			    "would use %s, stalling for about %s, because %s",
			    fields_string(plan, "method"), stall,
			    fields_string(plan, "method_reason_text"));
}

/* Who gives most for what it costs comes first, and often is enough. */
static void print_needed(const struct ctl *ctl, const json_t *group)
{
	const json_t *plan = json_object_get(group, "plan");
	const uint64_t n = fields_number(plan, "processes");
	const uint64_t n_needed = fields_number(plan, "needed");

	if (n_needed < n)
		output_pair(ctl, "Whom:",
			    "would ask %" PRIu64 " of %" PRIu64 " processes, and the others only if "
			    "usage is not low enough then",
			    n_needed, n);
}

static int print_group(struct ctl *ctl, const json_t *group)
{
	int r;

	print_state(ctl, group);
	print_clash(ctl, group);
	r = signals_print(ctl, group);
	if (r >= 0)
		r = ladder_print(ctl, group);
	if (r < 0)
		return r;
	print_source(ctl, group);
	print_past(ctl, group);
	print_plan(ctl, group);
	print_needed(ctl, group);
	print_next(ctl, group);
	return 0;
}

static int explain(struct ctl *ctl, const json_t *groups)
{
	_cleanup_(urgency_freep) const json_t **sorted = NULL;
	const size_t n = json_array_size(groups);
	int r;

	if (n == 0) {
		nobody_guarded(ctl);
		return 0;
	}

	sorted = urgency_sort(groups);
	if (!sorted)
		return -ENOMEM;

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			fputc('\n', ctl->out);
		r = print_group(ctl, sorted[i]);
		if (r < 0)
			return r;
	}

	return 0;
}

int verb_explain(struct ctl *ctl, int argc, char **argv)
{
	json_t *groups = NULL;
	int r;

	r = client_call_what(ctl, "Explain", argc > 1 ? argv[1] : "", &groups);
	if (r >= 0 && !output_json(ctl, groups))
		r = explain(ctl, groups);

	json_decref(groups);
	return client_exit(r);
}
