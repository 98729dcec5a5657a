/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/second-look.h"

#include "agent/basic/macro.h"
#include "agent/core/guard.h"
#include "agent/core/history.h"
#include "agent/core/knobs.h"
#include "agent/core/manager.h"
#include "agent/core/peer.h"
#include "agent/policy/benefit.h"
#include "agent/report/journal-look.h"

/* Whoever answered in that round; an answer that came later belongs to none. */
static bool has_answered(const struct peer *peer, const struct outcome *outcome)
{
	return peer->member.last_release_usec >= outcome->begin_usec &&
	       peer->member.last_release_usec <= outcome->end_usec;
}

static void count_faults_from_now(struct guard *guard, const struct outcome *outcome)
{
	struct process process;
	struct peer *peer;

	SLIST_FOREACH(peer, &guard->peers, in_guard)
		if (has_answered(peer, outcome) &&
		    survey_process(guard->manager->survey, peer->member.process.pid,
				   &process) >= 0)
			history_note_lessons(peer)->release_faults = process.n_faults;
}

void second_look_plan(struct guard *guard, struct outcome *outcome)
{
	struct history *history = history_note(guard);

	if (outcome->kind != OUTCOME_RELEASED || outcome_released_bytes(outcome) == 0)
		return;

	outcome->look.state = LOOK_DUE;
	history->look_round = outcome->round;
	history->look_due_usec = outcome->end_usec + LOOK_AFTER_USEC;
	history->look_faults = guard->group.reading.n_faults;
	history->look_collapses = guard->group.reading.n_collapses;
	count_faults_from_now(guard, outcome);
}

bool second_look_is_due(const struct guard *guard, uint64_t now_usec)
{
	return history_of(guard)->look_round > 0 && now_usec >= history_of(guard)->look_due_usec;
}

static void add_member(struct look *look, const struct member *member)
{
	const struct process *process = &member->process;
	const struct lessons *lessons = member_lessons(member);

	look->n_left++;
	look->rss_bytes = add_sat(look->rss_bytes, process->rss_bytes);
	look->rss_grown_bytes =
		add_sat(look->rss_grown_bytes,
			sub_sat(process->rss_bytes, lessons->last_release.rss_after));
	look->n_faults = add_sat(look->n_faults,
				 sub_sat(process->n_faults, lessons->release_faults));
}

void second_look_take(struct guard *guard)
{
	struct group *group = &guard->group;
	struct history *history = history_note(guard);
	struct outcome *outcome = ledger_find(&guard->manager->ledger, history->look_round);
	struct look look = { .state = LOOK_GONE, .usage_bytes = group->reading.usage_bytes };
	const uint64_t now_usec = manager_now(guard->manager);
	struct peer *peer;

	history->look_round = 0;
	/* None was planned, or hundreds of rounds came in between. */
	if (!outcome)
		return;

	look.age_usec = sub_sat(now_usec, outcome->end_usec);
	look.n_group_faults = sub_sat(group->reading.n_faults, history->look_faults);
	look.n_collapses = sub_sat(group->reading.n_collapses, history->look_collapses);
	SLIST_FOREACH(peer, &guard->peers, in_guard)
		if (has_answered(peer, outcome)) {
			if (peer->member.time_usec != now_usec)
				peer_survey(peer, now_usec);
			add_member(&look, &peer->member);
		}
	if (look.n_left > 0)
		look.state = LOOK_TAKEN;

	outcome->look = look;
	history->benefit = benefit_look(group, outcome);
	knobs_late(guard);
	/* One that came early is in the history; the journal would have two entries a round. */
	if (look.age_usec >= LOOK_AFTER_USEC && !guard->manager->options.quiet_journal)
		journal_look(group, outcome);
}

void second_look_lose(struct guard *guard)
{
	struct outcome *outcome = ledger_find(&guard->manager->ledger, history_of(guard)->look_round);

	if (outcome)
		outcome->look = (struct look){ .state = LOOK_GONE };
}
