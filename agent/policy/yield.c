/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Of the round that is under way: is what it does still what would be begun now? */

#include "agent/policy/yield.h"

#include "agent/basic/macro.h"
#include "agent/policy/estimate.h"
#include "agent/policy/gate.h"
#include "agent/policy/pick.h"

/*
 * How much longer borrowing takes. What was predicted is over, and it goes on: nobody knows, so as
 * long again as it took.
 */
static uint64_t left_usec(const struct running *running, uint64_t now_usec)
{
	const uint64_t spent_usec = sub_sat(now_usec, running->asked_usec);
	const uint64_t whole_usec = estimate_borrow_usec(running->member);

	return spent_usec < whole_usec ? whole_usec - spent_usec : spent_usec;
}

/* True when who is being borrowed from would be trimmed in full now: filled in. */
static bool is_overtaken(const struct group *group, const struct running *running,
			 uint64_t now_usec, struct pick *ret)
{
	struct member member;
	struct pick pick;

	if (!running->member || running->method != METHOD_BORROW)
		return false;

	member = *running->member;
	member.borrow.usec = brief_usec(left_usec(running, now_usec));
	/* What it has grown by is in that. */
	member.stats.rss = MAX(member.stats.rss, member.process.rss_bytes);
	if (!pick_is_urgent(group, &member, group->gate.reason))
		return false;

	pick = pick_one(group, &member, group->gate.reason, group->settings->method);
	if (pick.method != METHOD_FULL)
		return false;

	*ret = pick;
	return true;
}

enum yield yield_decide(const struct group *group, const struct running *running, uint64_t now_usec,
			struct pick *ret_pick)
{
	const bool critical = group->gate.reason == REASON_USAGE_CRITICAL;

	if (group->settings->mode == MODE_OBSERVE || !gate_is_open(&group->gate) ||
	    reason_is_calm(group->gate.reason) || running->reason == REASON_USAGE_CRITICAL)
		return YIELD_NOT;
	if (is_overtaken(group, running, now_usec, ret_pick))
		return YIELD_ALL;

	return critical || (gate_is_rushing(group) && !running->rushed) ? YIELD_OTHERS : YIELD_NOT;
}
