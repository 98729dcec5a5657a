/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names and words of the reasons: names are stable, words are for people. */

#include "agent/model/decision.h"

#include <errno.h>

#include "agent/basic/macro.h"

static const struct {
	const char *name;
	const char *text;
} reasons[] = {
	[REASON_NONE] = { "none", "no reason was recorded" },
	[REASON_COMMAND] = { "command", "somebody asked for it" },
	[REASON_USAGE_HIGH] = { "usage-high", "usage is above UsageHigh=" },
	[REASON_USAGE_CRITICAL] = { "usage-critical", "usage is above UsageCritical=" },
	[REASON_OOM_ETA] = { "oom-eta", "the limit will be reached within OomEtaSec=" },
	[REASON_PRESSURE] = { "pressure",
			      "tasks stall on memory (PressureSome=)" },
	[REASON_RETAINED] = { "retained", "retained memory is above RetainedHigh=" },
	[REASON_BELOW] = { "below", "everything is below its threshold" },
	[REASON_COOLDOWN] = { "cooldown",
			      "the last round is more recent than CooldownSec=" },
	[REASON_BACKOFF] = { "backoff",
			     "recent releases gave too little to repeat them so soon" },
	[REASON_OBSERVE] = { "observe",
			     "Mode=observe: decisions are recorded, nobody is asked" },
	[REASON_NO_MEMBERS] = { "no-members", "no process in the group carries a hook "
					      "that can be asked" },
	[REASON_NOT_WORTH] = { "not-worth", "the expected release is below MinRelease=" },
	[REASON_STALL] = { "stall", "it would stall a busy program for longer than "
				    "StallBudgetMSec=" },
	[REASON_BUSY] = { "busy", "another round of the group is still running" },
	[REASON_MACHINE] = { "machine-pressure",
			     "the machine stalls on memory more than "
			     "MachinePressureSome=" },
	[REASON_MAX_PER_HOUR] = { "max-per-hour", "reached MaxPerHour=" },
	[REASON_RETURNED] = { "returned", "what recent releases gave was in use again soon" },
	[REASON_OFF] = { "off", "it is not set up" },
	[REASON_TAKEN] = { "taken", "it was taken, and lasts" },
	[REASON_LEFT] = { "left-over", "what the last large release left can be given back now" },
	[REASON_OTHERS] = { "others", "as many other groups are being released as may be at once "
				      "while all is calm" },
	[REASON_UNTOLD] = { "untold", "a program that is idle now has grown by more than RetainedHigh=, "
				      "and its allocator does not tell what of it is free" },
	[REASON_KILL_NEAR] = { "kill-near", "at this growth the limit will be reached within a minute" },
	[REASON_UNSTEADY] = { "unsteady", "RetainedHigh= is reached, but usage is not steady" },
	[REASON_NO_SWAP] = { "no-swap", "there is no swap left that it may use" },
	[REASON_NO_RECLAIM] = { "no-reclaim", "the kernel has no memory.reclaim for it" },
};

static const struct {
	const char *name;
	const char *text;
} whys[] = {
	[WHY_NONE] = { "none", "its allocator has one way only" },
	[WHY_SETTING] = { "setting", "it was asked for by name" },
	[WHY_FITS] = { "fits", "the stall of a full trim fits StallBudgetMSec=" },
	[WHY_IDLE] = { "idle", "the program is idle, so a stall delays nobody" },
	[WHY_URGENT] = { "urgent", "a kill is near and a full trim is fastest" },
	[WHY_STALL] = { "stall", "a full trim would stall for longer than "
				 "StallBudgetMSec=" },
	[WHY_UNABLE] = { "unable", "its heap cannot be borrowed from, and there is no "
				   "time to wait" },
	[WHY_UNKNOWN] = { "unknown", "its heap has not been measured since" },
	[WHY_TOPS] = { "tops", "it gives back tops of thread arenas, which a full trim leaves" },
};

static const char *const methods[] = {
	[METHOD_AUTO] = "auto",
	[METHOD_FULL] = "full",
	[METHOD_BORROW] = "borrow",
};

uint64_t decision_expected(const struct decision *decision)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < decision->n_picks; i++)
		bytes = add_sat(bytes, decision->picks[i].expected_bytes);

	return bytes;
}

void decision_put_first(struct decision *decision, const struct pick *pick)
{
	unsigned int at = 0;

	while (at < decision->n_picks && decision->picks[at].pid != pick->pid)
		at++;
	if (at == decision->n_picks) {
		at = MIN(at, DECISION_PICKS_MAX - 1U);
		decision->n_picks = at + 1;
	}

	memmove(&decision->picks[1], &decision->picks[0], at * sizeof(*pick));
	decision->picks[0] = *pick;
}

void decision_put_asked(struct decision *decision, const struct pick *picks, unsigned int n)
{
	while (n > 0)
		decision_put_first(decision, &picks[--n]);
}

const char *why_to_string(enum why why)
{
	return (unsigned int)why < ARRAY_SIZE(whys) ? whys[why].name : "unknown";
}

const char *why_to_text(enum why why)
{
	return (unsigned int)why < ARRAY_SIZE(whys)
		       ? whys[why].text
		       : "the reason is unknown to this version";
}

const char *yield_to_string(enum yield yield)
{
	switch (yield) {
	case YIELD_NOT:
		return "not";
	case YIELD_OTHERS:
		return "others";
	case YIELD_ALL:
		return "all";
	}

	return "unknown";
}

const char *method_to_string(enum method method)
{
	return (unsigned int)method < ARRAY_SIZE(methods) ? methods[method] : "unknown";
}

int method_from_string(const char *s, enum method *ret)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(methods); i++)
		if (streq(s, methods[i])) {
			*ret = (enum method)i;
			return 0;
		}

	return -EINVAL;
}

const char *reason_to_string(enum reason reason)
{
	if ((unsigned int)reason >= ARRAY_SIZE(reasons))
		return "unknown";

	return reasons[reason].name;
}

const char *reason_to_text(enum reason reason)
{
	if ((unsigned int)reason >= ARRAY_SIZE(reasons))
		return "the reason is unknown to this version";

	return reasons[reason].text;
}

bool reason_is_calm(enum reason reason)
{
	return reason == REASON_RETAINED || reason == REASON_LEFT || reason == REASON_UNTOLD;
}

int reason_from_string(const char *s, enum reason *ret)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(reasons); i++)
		if (streq(s, reasons[i].name)) {
			*ret = (enum reason)i;
			return 0;
		}

	return -EINVAL;
}
