/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/choice.h"

#include <string.h>

#include "agent/basic/macro.h"
#include "agent/policy/pick.h"

/* More than this in one group: the first ones will do, and the next round takes others. */
#define CHOICE_MAX 4096

/* A look at each takes some 50 us, and the first question is not to wait for a millisecond. */
#define LARGE_MEMBERS 8

/* No stack that may not be there yet. */
static const struct member *members[CHOICE_MAX];
static struct member kept;

void choice_touch(void)
{
	memset(&kept, 0, sizeof(kept));
}

/* @only: this process alone, or 0. */
static struct choice list_members(const struct guard *guard, pid_t only)
{
	const struct peer *peer;
	size_t n = 0;

	SLIST_FOREACH(peer, &guard->peers, in_guard)
		if ((only == 0 || peer->member.process.pid == only) && n < CHOICE_MAX)
			members[n++] = &peer->member;

	return (struct choice){ .members = members, .n = n };
}

void choice_keep(struct choice *choice, pid_t pid)
{
	for (size_t i = 0; i < choice->n; i++) {
		if (choice->members[i]->process.pid != pid)
			continue;

		kept = *choice->members[i];
		members[i] = &kept;
		return;
	}
}

bool choice_is_large(const struct guard *guard)
{
	const enum reason trigger = guard->round->outcome.trigger;

	return guard->group.n_members > LARGE_MEMBERS &&
	       (trigger == REASON_USAGE_HIGH || trigger == REASON_USAGE_CRITICAL ||
		trigger == REASON_OOM_ETA || trigger == REASON_PRESSURE);
}

struct choice choice_make(struct guard *guard)
{
	struct round *round = guard->round;
	const struct command *command = round->command;
	const bool hurries = round->outcome.hurried != REASON_NONE;
	/* What is urgent has nothing to do with what somebody wished before. */
	const struct choice choice = list_members(guard, hurries ? 0 : round->only);

	pick_members(&guard->group, choice.members, choice.n, round->reason,
		     command && command->method != METHOD_AUTO && !hurries
			     ? command->method : guard->group.settings->method,
		     &round->decision);
	return choice;
}

struct choice choice_make_others(struct guard *guard)
{
	static struct pick asked[DECISION_PICKS_MAX];
	struct round *round = guard->round;
	const unsigned int n = round->next;
	struct choice choice;

	memcpy(asked, round->decision.picks, n * sizeof(asked[0]));
	choice = choice_make(guard);
	if (!round->decision.act)
		round->decision.n_picks = 0;
	decision_put_asked(&round->decision, asked, n);
	return choice;
}

void choice_plan(const struct guard *guard, struct decision *ret)
{
	const struct gate *gate = &guard->group.gate;
	const struct choice choice = list_members(guard, 0);

	pick_members(&guard->group, choice.members, choice.n,
		     gate_is_open(gate) ? gate->reason : REASON_RETAINED,
		     guard->group.settings->method, ret);
}
