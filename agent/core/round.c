/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/round.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/log.h"
#include "agent/core/alert.h"
#include "agent/core/choice.h"
#include "agent/core/command.h"
#include "agent/core/guard.h"
#include "agent/core/history.h"
#include "agent/core/hurry.h"
#include "agent/core/kernel-reclaim.h"
#include "agent/core/membership.h"
#include "agent/core/patience.h"
#include "agent/core/peer.h"
#include "agent/core/recorder.h"
#include "agent/core/second-look.h"
#include "agent/core/silence.h"
#include "agent/policy/benefit.h"
#include "agent/policy/gate.h"
#include "agent/policy/pick.h"
#include "agent/report/journal.h"

/* A release of 10 GiB takes seconds; when a kill is near there is no time to wait for one. */
#define RECLAIM_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define RECLAIM_TIMEOUT_CRITICAL_USEC (3 * USEC_PER_SEC)

/* A member that is just answering a question about its statistics is free in milliseconds. */
#define BUSY_RETRY_USEC (10 * USEC_PER_MSEC)
#define BUSY_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define BUSY_TIMEOUT_CRITICAL_USEC (250 * USEC_PER_MSEC)

/* Older figures of a program are not what a command goes by. */
#define FIGURES_USEC (1 * USEC_PER_SEC)

/*
 * After so long without an answer: is it at work? A process that took no CPU time meanwhile
 * is stopped, frozen or starved, and the others do not wait for it; unless it gives, see silence.h.
 */
#define PATIENCE_USEC (500 * USEC_PER_MSEC)
#define PATIENCE_CRITICAL_USEC (100 * USEC_PER_MSEC)

/* Rounds at once that are there from the start, since memory is short when they begin. */
#define ROUNDS_READY 32

static struct round rounds[ROUNDS_READY];

static void round_ask_next(struct guard *guard);

void round_touch(void)
{
	/* Rarely are there more at once, and each is a page. */
	memset(rounds, 0, 4 * sizeof(rounds[0]));
}

/*
 * A command, which may begin a round in every group there is, takes none from a crisis. Nor may
 * who answers slowly, be it with all of them, keep others from being asked: then more are made.
 */
static struct round *round_take(bool is_command)
{
	for (size_t i = 0; i < ROUNDS_READY && !is_command; i++)
		if (!rounds[i].used) {
			rounds[i].used = true;
			return &rounds[i];
		}

	return calloc(1, sizeof(struct round));
}

static void round_give_back(struct round *round)
{
	if (round >= rounds && round < rounds + ROUNDS_READY)
		round->used = false;
	else
		free(round);
}

static void round_report(struct guard *guard, bool news)
{
	struct round *round = guard->round;
	struct manager *manager = guard->manager;

	if (news && !manager->options.quiet_journal)
		journal_outcome(&guard->group, &round->outcome);
	if (!outcome_is_quiet(&round->outcome)) {
		bus_round_finished(manager->bus, &guard->group, &round->outcome);
		manager_notify_status(manager);
	}
	if (round->command)
		command_take_outcome(round->command, guard, &round->outcome);
}

static void round_record(struct guard *guard)
{
	struct round *round = guard->round;
	struct group *group = &guard->group;
	struct outcome *outcome = &round->outcome;
	const struct outcome *kept;
	struct diagnosis diagnosis;

	if (outcome->n_asked > 1) /* each is expected to give all of the pages they share */
		outcome->expected_bytes = MIN(outcome->expected_bytes, outcome->usage_before_bytes);
	if (outcome->n_asked > 0)
		guard_sum_heaps(guard);
	history_note(guard)->benefit = benefit_add(group, outcome);
	if (outcome->n_asked > 0 && outcome_cause(outcome) != REASON_COMMAND)
		steps_count(&history_note(guard)->steps, STEP_RELEASE, outcome->end_usec);
	guard_diagnose(guard, outcome->end_usec, &diagnosis);
	outcome_diagnose(outcome, &diagnosis);
	second_look_plan(guard, outcome);
	kept = ledger_append(&guard->manager->ledger, outcome,
			     group->unit ? group->unit : group->path);
	if (kept)
		history_note(guard)->benefit.last_outcome = kept;
}

static void round_finish(struct guard *guard)
{
	struct round *round = guard->round;
	struct outcome *outcome = &round->outcome;
	const struct manager *manager = guard->manager;
	bool news;

	if (outcome->n_asked > 0)
		(void)guard_read(guard);

	outcome->usage_after_bytes = guard->group.reading.usage_bytes;
	outcome->held_after_bytes = guard->group.reading.held_bytes;
	outcome->end_usec = manager_now(manager);
	outcome->realtime_usec = manager_realtime(manager);
	if (outcome->n_answered > 0 || outcome->overtaken_bytes > 0)
		outcome->kind = OUTCOME_RELEASED;
	else if (outcome->n_asked > 0)
		outcome->kind = OUTCOME_FAILED;
	else
		outcome->kind = OUTCOME_NOTHING;

	news = round->command || benefit_is_news(&guard->group, outcome);
	round_record(guard);
	round_report(guard, news);
	if (outcome_cause(outcome) == REASON_USAGE_CRITICAL) {
		kernel_reclaim_run(guard);
		alert_run(guard, outcome);
	}

	/* What was released shows in the processes soon: look. */
	if (outcome->kind != OUTCOME_NOTHING)
		guard->survey_gap_usec = 0;

	LIST_REMOVE(guard, history->in_rounds);
	guard->group.yields = false;
	round_give_back(TAKE_PTR(guard->round));
	guard_look_soon(guard, 0);
}

static struct peer *find_peer(struct guard *guard, const struct pick *pick)
{
	struct peer *peer;

	SLIST_FOREACH(peer, &guard->peers, in_guard)
		if (peer->member.process.pid == pick->pid &&
		    peer->member.process.start_time == pick->start_time)
			return peer;

	return NULL;
}

static enum refusal refusal_of(uint32_t status)
{
	return status == WIRE_UNSUPPORTED ? REFUSAL_UNSUPPORTED :
	       status == WIRE_REFUSED	  ? REFUSAL_DECLINED :
					    REFUSAL_FAILED;
}

/*
 * A hook that cannot borrow is remembered, and where that was our choice and there is no
 * time to wait it is asked for a full trim instead.
 */
static void take_refusal(struct guard *guard, struct peer *peer, uint32_t status)
{
	struct round *round = guard->round;
	struct pick *pick = &round->decision.picks[round->next - 1];

	if (pick->method != METHOD_BORROW || status != WIRE_UNSUPPORTED) {
		outcome_count_refusal(&round->outcome, refusal_of(status));
		member_note_failure(&peer->member, true);
		return;
	}

	peer->member.borrow_refused = true;
	if (pick->why == WHY_SETTING || reason_is_calm(round->outcome.trigger)) {
		outcome_count_refusal(&round->outcome, REFUSAL_BORROW);
		return;
	}

	pick->method = METHOD_FULL;
	pick->why = WHY_UNABLE;
	pick->stall_usec = pick->full_stall_usec;
	round->outcome.n_asked--;
	round->outcome.n_borrow--;
	round->next--;
}

static void on_reclaimed(struct conn *conn, enum request_end end, const struct request_answer *answer,
			 void *userdata)
{
	struct peer *peer = userdata;
	struct guard *guard = peer->guard;
	struct outcome *outcome;
	const bool released = answer && answer->frame->header.status == WIRE_OK;

	(void)conn;

	if (released)
		peer_take_release(peer, &answer->frame->reclaim_reply);
	/* The round went on without it, and has counted it. */
	if (!guard->round || guard->round->waiting != peer)
		return;

	outcome = &guard->round->outcome;
	if (end == REQUEST_OVERTAKEN) {
		if (released)
			outcome_count_overtaken(outcome, &answer->frame->reclaim_reply);
		return;
	}

	guard->round->waiting = NULL;
	switch (end) {
	case REQUEST_ANSWERED:
		if (released)
			outcome_count_answer(outcome, &answer->frame->reclaim_reply);
		else
			take_refusal(guard, peer, answer->frame->header.status);
		break;
	case REQUEST_TIMED_OUT:
		silence_count(peer, true);
		member_note_failure(&peer->member, false);
		break;
	case REQUEST_GONE:
		outcome->n_gone++;
		break;
	case REQUEST_OVERTAKEN:
		break; /* no end */
	}

	round_ask_next(guard);
}

/* A kill is near: nobody is waited for as long as else. */
static bool is_critical(const struct guard *guard)
{
	return outcome_cause(&guard->round->outcome) == REASON_USAGE_CRITICAL;
}

enum ask {
	ASK_SENT, /* an answer will come */
	ASK_OVER, /* no answer will come; counted */
	ASK_BUSY, /* try again */
};

/* Not for ever: a frozen process answers nothing. */
static bool is_worth_waiting(struct guard *guard, struct peer *peer, struct pick *pick)
{
	struct round *round = guard->round;
	const uint64_t now_usec = manager_now(guard->manager);
	uint64_t waited_usec;

	if (!request_busy(peer->conn))
		return false;
	if (round->busy_since_usec == 0)
		round->busy_since_usec = now_usec;
	if (pick->cpu_usec == 0)
		pick->cpu_usec = peer->member.process.cpu_usec;

	waited_usec = now_usec - round->busy_since_usec;
	if (is_critical(guard))
		return waited_usec < BUSY_TIMEOUT_CRITICAL_USEC;
	if (waited_usec < BUSY_TIMEOUT_USEC)
		return true;

	return pick->measured && waited_usec < PEER_MEASURE_USEC &&
	       silence_is_work(peer, pick->cpu_usec);
}

/* Seconds may have passed since all were looked at. */
static bool has_left(struct peer *peer, uint64_t now_usec)
{
	if (peer->member.time_usec == now_usec)
		return false;
	if (membership_check(peer))
		return true;

	peer_survey(peer, now_usec);
	return false;
}

uint64_t round_order(const struct guard *guard, const struct pick *pick, struct reclaim *ret)
{
	const uint64_t timeout_usec = is_critical(guard) ? RECLAIM_TIMEOUT_CRITICAL_USEC
							 : RECLAIM_TIMEOUT_USEC;

	*ret = (struct reclaim){
		.method = pick->method == METHOD_BORROW ? WIRE_METHOD_BORROW : WIRE_METHOD_FULL,
		/* It can stop in between, and so answers in time. */
		.limit_usec = timeout_usec / 10 * 9,
	};
	return timeout_usec;
}

void round_await(struct guard *guard, struct peer *peer, const struct pick *pick)
{
	struct round *round = guard->round;

	outcome_count_method(&round->outcome, pick);
	round->busy_since_usec = 0;
	round->waiting = peer;
	silence_begin(round);
	round->asked_usec = manager_now(guard->manager);
	round->moved_usec = 0;
	round->until_usec = 0;
	patience_plan(guard, is_critical(guard) ? PATIENCE_CRITICAL_USEC : PATIENCE_USEC);
}

/*
 * Who gives a command can wait until it is known for how long a release would stall. True when the
 * figures are to come; when they are there, whoever asked for them, the method is chosen by them.
 */
static bool measure_first(struct guard *guard, struct peer *peer, struct pick *pick)
{
	struct round *round = guard->round;
	const struct member *member = &peer->member;
	const uint64_t now_usec = manager_now(guard->manager);

	if (!pick_needs_figures(&guard->group, member, round->reason, pick))
		return false;
	if (!pick->measured && (member->stats_usec == 0 || now_usec - member->stats_usec >= FIGURES_USEC)) {
		/* In a large group it was not looked at. */
		if (member->time_usec != now_usec)
			peer_survey(peer, now_usec);
		pick->measured = peer_measure(peer) >= 0;
		pick->cpu_usec = member->process.cpu_usec;
		return pick->measured;
	}
	if (member->stats_usec > 0 && member->stats_usec >= member->last_release_usec) {
		const bool measured = pick->measured;

		*pick = pick_one(&guard->group, member, round->reason, METHOD_AUTO);
		pick->measured = measured;
		round->outcome.expected_bytes = decision_expected(&round->decision);
	}

	return false;
}

static enum ask round_ask(struct guard *guard, struct pick *pick)
{
	struct outcome *outcome = &guard->round->outcome;
	struct peer *peer = find_peer(guard, pick);
	struct reclaim reclaim;
	uint64_t timeout_usec;
	int r;

	if (peer && (is_worth_waiting(guard, peer, pick) || measure_first(guard, peer, pick)))
		return ASK_BUSY;

	outcome->n_asked++;
	if (!peer || has_left(peer, manager_now(guard->manager))) {
		outcome->n_gone++;
		return ASK_OVER;
	}
	r = peer_check_agent(peer);
	if (r < 0) {
		outcome_count_refusal(outcome, REFUSAL_FILTER);
		return ASK_OVER;
	}
	timeout_usec = round_order(guard, pick, &reclaim);
	r = request_reclaim(peer->conn, &reclaim, timeout_usec, on_reclaimed, peer);
	/* Who does not even tell his figures, or is stopped, is not at work on another question. */
	if (r == -EBUSY &&
	    (peer->member.stats_usec == 0 || pick->measured || silence_is_held(peer)))
		silence_count(peer, silence_is_work(peer, pick->cpu_usec));
	else if (r < 0)
		outcome_count_refusal(outcome, r == -EBUSY ? REFUSAL_BUSY : REFUSAL_CHANNEL);
	if (r < 0)
		return ASK_OVER;

	round_await(guard, peer, pick);
	return ASK_SENT;
}

/* Its question stays open: should it wake up, it releases, and that is learnt from. */
static void go_on_without(struct guard *guard, struct peer *peer)
{
	log_debug("Process %d (%s) does not answer%s: going on without it",
		  (int)peer->member.process.pid, peer->member.process.command,
		  guard->round->until_usec == 0 ? " and takes no CPU time" : " soon enough");
	silence_count(peer, silence_moves(guard->round));
	guard->round->waiting = NULL;
	member_note_failure(&peer->member, false);
	round_ask_next(guard);
}

void round_look_after(struct guard *guard)
{
	struct round *round = guard->round;
	struct peer *peer = round->waiting;
	const uint64_t now_usec = manager_now(guard->manager);

	round->patience_usec = 0;
	if (!peer) {
		round_ask_next(guard);
		return;
	}

	/* At work: there is a deadline for that. */
	if (!silence_is_over(round, now_usec))
		patience_plan(guard, PATIENCE_USEC);
	else
		go_on_without(guard, peer);
}

/* Behind the others, who need not wait for it. False when all that are left are busy. */
static bool put_off(struct round *round)
{
	struct pick *picks = round->decision.picks;
	const unsigned int last = round->decision.n_picks - 1;
	const struct pick pick = picks[round->next];

	memmove(&picks[round->next], &picks[round->next + 1],
		(last - round->next) * sizeof(pick));
	picks[last] = pick;
	return ++round->n_put_off <= last - round->next;
}

/* Before the first one the trigger has just looked. */
static bool is_enough(struct guard *guard)
{
	const struct round *round = guard->round;

	if (round->next == 0 || round->decision.enough_permyriad == 0 ||
	    (round->next == round->decision.n_picks && !round->unseen))
		return false;

	return guard_read(guard) >= 0 &&
	       pick_is_enough(&round->decision, &guard->group.reading);
}

static void spare_others(struct round *round)
{
	round->outcome.n_not_needed = round->decision.n_picks - round->next;
	round->decision.n_picks = round->next;
	round->outcome.expected_bytes = decision_expected(&round->decision);
}

/* Some were asked by what was known; now the others, by how they are. */
static void look_at_others(struct guard *guard)
{
	guard_survey(guard);
	(void)choice_make_others(guard);
	guard->round->outcome.expected_bytes = decision_expected(&guard->round->decision);
}

/* One at a time: parallel releases would stall each other and every CPU of the group. */
static void round_ask_next(struct guard *guard)
{
	struct round *round = guard->round;

	if (is_enough(guard))
		spare_others(round);
	else if (round->unseen)
		look_at_others(guard);
	round->unseen = false;
	while (round->next < round->decision.n_picks) {
		const enum ask ask = round_ask(guard, &round->decision.picks[round->next]);

		if (ask == ASK_BUSY && put_off(round))
			continue;

		round->n_put_off = 0;
		if (ask == ASK_BUSY) {
			patience_plan(guard, BUSY_RETRY_USEC);
			return;
		}

		round->next++;
		if (ask == ASK_SENT)
			return;
	}

	round_finish(guard);
}

void round_go_on(struct guard *guard)
{
	if (guard->round && guard->round->patience_usec != 0 && !guard->round->waiting)
		round_ask_next(guard);
}

void round_stop(struct guard *guard)
{
	if (!guard->round)
		return;

	guard->round->unseen = false;
	guard->round->decision.n_picks = guard->round->next;
	if (!guard->round->waiting)
		round_finish(guard);
}

/*
 * First of all the question; what it was decided by is written down while it is answered. In a large
 * group who is asked is looked at for that, and is written down as he was before.
 */
static void ask_first(struct guard *guard, struct choice *choice)
{
	struct round *round = guard->round;
	enum ask ask;

	choice_keep(choice, round->decision.picks[0].pid);
	ask = round_ask(guard, &round->decision.picks[0]);

	second_look_take(guard);
	recorder_keep(guard, choice->members, choice->n, NULL, YIELD_NOT);
	round->next = ask != ASK_BUSY;
	if (ask != ASK_SENT)
		round_ask_next(guard);
}

static void round_open(struct guard *guard)
{
	struct round *round = guard->round;
	struct choice choice;

	round->unseen = choice_is_large(guard);
	if (!round->unseen)
		guard_survey(guard);
	choice = choice_make(guard);
	if (round->unseen && !round->decision.act) {
		round->unseen = false;
		guard_survey(guard);
		choice = choice_make(guard);
	}

	round->outcome.reason = round->decision.reason;
	round->outcome.expected_bytes = round->decision.expected_bytes;
	if (round->decision.act)
		ask_first(guard, &choice);
	else
		round_finish(guard);
}

int round_begin(struct guard *guard, enum reason trigger, pid_t only, struct command *command)
{
	struct manager *manager = guard->manager;
	struct round *round = round_take(command);

	/* There is no memory: it is looked again soon. */
	if (!round)
		return -EAGAIN;

	/* A trigger has just read the group; before a command that may be seconds ago. */
	if (command)
		(void)guard_read(guard);
	(void)history_note(guard);
	LIST_INSERT_HEAD(&manager->rounds, guard, history->in_rounds);
	*round = (struct round){
		.used = true,
		.only = only,
		.command = command,
		.reason = trigger,
		.rushed = gate_is_rushing(&guard->group),
		.outcome = {
			.round = ++manager->n_rounds,
			.group_id = guard->group.id,
			.trigger = trigger,
			.begin_usec = manager_now(manager),
			.limit_bytes = guard->group.reading.limit_bytes,
			.usage_before_bytes = guard->group.reading.usage_bytes,
			.held_before_bytes = guard->group.reading.held_bytes,
		},
	};
	guard->round = round;
	guard->group.yields = trigger != REASON_USAGE_CRITICAL;
	round_open(guard);
	return 0;
}

void round_trigger(struct guard *guard, enum reason trigger)
{
	if (guard->round)
		hurry_look(guard);
	else
		(void)round_begin(guard, trigger, 0, NULL);
}
