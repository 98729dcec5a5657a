/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/round.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/log.h"
#include "agent/core/alert.h"
#include "agent/core/command.h"
#include "agent/core/guard.h"
#include "agent/core/membership.h"
#include "agent/core/peer.h"
#include "agent/core/recorder.h"
#include "agent/policy/benefit.h"
#include "agent/policy/calibrate.h"
#include "agent/policy/estimate.h"
#include "agent/policy/pick.h"
#include "agent/policy/verdict.h"
#include "agent/report/journal.h"

/* A release of 10 GiB takes seconds; when a kill is near there is no time to wait for one. */
#define RECLAIM_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define RECLAIM_TIMEOUT_CRITICAL_USEC (3 * USEC_PER_SEC)

/* A member that is just answering a question about its statistics is free in milliseconds. */
#define BUSY_RETRY_USEC (10 * USEC_PER_MSEC)
#define BUSY_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define BUSY_TIMEOUT_CRITICAL_USEC (250 * USEC_PER_MSEC)

/*
 * After so long without an answer: is it at work? A process that took no CPU time meanwhile
 * is stopped, frozen or starved, and the others do not wait for it.
 */
#define PATIENCE_USEC (500 * USEC_PER_MSEC)
#define PATIENCE_CRITICAL_USEC (100 * USEC_PER_MSEC)

/* Rounds at once; made at start, since memory is short when they begin. */
#define ROUNDS_MAX 32

static struct round rounds[ROUNDS_MAX];

static void round_ask_next(struct guard *guard);

/* A command may begin a round in every group there is, and may allocate. */
static struct round *round_take(bool may_allocate)
{
	for (size_t i = 0; i < ROUNDS_MAX; i++)
		if (!rounds[i].used) {
			rounds[i].used = true;
			return &rounds[i];
		}

	return may_allocate ? calloc(1, sizeof(struct round)) : NULL;
}

static void round_give_back(struct round *round)
{
	if (round >= rounds && round < rounds + ROUNDS_MAX)
		round->used = false;
	else
		free(round);
}

/*
 * "Did nothing, because": told when the group is near its limit or somebody wants to know,
 * and once per reason, not every second.
 */
static bool is_news(const struct round *round, enum reason last_quiet)
{
	const struct outcome *outcome = &round->outcome;
	const bool near = outcome->trigger == REASON_USAGE_HIGH ||
			  outcome->trigger == REASON_USAGE_CRITICAL;

	if (!outcome_is_quiet(outcome) || round->command || outcome->reason == REASON_OBSERVE)
		return true;

	return near && outcome->reason != last_quiet;
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
	struct diagnosis diagnosis;

	group->benefit = benefit_add(&group->benefit, &group->settings, outcome);
	if (outcome->n_asked > 0)
		guard_sum_heaps(guard);
	verdict_group(group, outcome->end_usec, &diagnosis);
	outcome_diagnose(outcome, &diagnosis);
	ledger_append(&guard->manager->ledger, outcome,
		      group->unit ? group->unit : group->path);
	if (!outcome_is_quiet(outcome))
		group->last_outcome = *outcome;
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
	outcome->end_usec = manager_now(manager);
	outcome->realtime_usec = manager_realtime(manager);
	if (outcome->n_answered > 0)
		outcome->kind = OUTCOME_RELEASED;
	else if (outcome->n_asked > 0)
		outcome->kind = OUTCOME_FAILED;
	else
		outcome->kind = OUTCOME_NOTHING;

	news = is_news(round, guard->group.benefit.last_quiet_reason);
	round_record(guard);
	round_report(guard, news);
	if (outcome->trigger == REASON_USAGE_CRITICAL)
		alert_run(guard, outcome);

	/* What was released shows in the processes soon: look. */
	if (outcome->kind != OUTCOME_NOTHING)
		guard->survey_gap_usec = 0;

	LIST_REMOVE(guard, in_rounds);
	round_give_back(TAKE_PTR(guard->round));
	guard_look_soon(guard, 0);
}

static struct peer *find_peer(struct guard *guard, const struct pick *pick)
{
	struct peer *peer;

	LIST_FOREACH(peer, &guard->peers, in_guard)
		if (peer->member.process.pid == pick->pid &&
		    peer->member.process.start_time == pick->start_time)
			return peer;

	return NULL;
}

/* A hook that does not measure it: no longer than all of the release. */
static uint64_t stall_of(const struct wire_reclaim_reply *reply)
{
	return reply->stall_usec > 0 ? MIN(reply->stall_usec, reply->duration_usec)
				     : reply->duration_usec;
}

/* Compares what was predicted with what happened. */
static void learn(struct member *member, const struct wire_reclaim_reply *reply)
{
	const uint64_t released = sub_sat(reply->rss_before, reply->rss_after);
	const bool busy = estimate_is_busy(member);

	member->last_forecast = (struct forecast){ 0 };
	if (member->stats_usec == 0 || member->stats_usec < member->last_release_usec ||
	    !estimate_has_methods(member))
		return;

	if (reply->method == WIRE_METHOD_BORROW) {
		member->last_forecast = member->borrow;
		member->calibration = calibrate_add_borrow(
			&member->calibration, reply,
			estimate_borrow_bytes(&member->stats, member->retained_bytes));
		return;
	}

	member->last_forecast = (struct forecast){
		.bytes = member->retained_bytes,
		.stall_usec = member->stall_usec,
		.usec = member->release_usec,
	};
	member->calibration = calibrate_add_full(
		&member->calibration, reply,
		estimate_release_usec(&member->stats, released, busy), busy);
}

static void count_answer(struct outcome *outcome, const struct wire_reclaim_reply *reply)
{
	/* Claims of the process: whatever they are, the sums must not wrap. */
	outcome->n_answered++;
	outcome->rss_before_bytes = add_sat(outcome->rss_before_bytes, reply->rss_before);
	outcome->rss_after_bytes = add_sat(outcome->rss_after_bytes, reply->rss_after);
	outcome->total_usec = add_sat(outcome->total_usec, reply->duration_usec);
	outcome->longest_usec = MAX(outcome->longest_usec, reply->duration_usec);
	outcome->stall_usec = MAX(outcome->stall_usec, stall_of(reply));
}

static void take_answer(struct peer *peer, const struct wire_reclaim_reply *reply)
{
	struct member *member = &peer->member;

	learn(member, reply);
	member->last_release = *reply;
	member->last_release_usec = manager_now(peer->guard->manager);
	member->n_failed = 0;
	member->residue_due = true;
	/* What it held it has given; until the next statistics nothing more is expected. */
	member->retained_bytes = 0;
	member->borrow.bytes = 0;
	member->process.anon_bytes =
		sub_sat(member->process.anon_bytes,
			sub_sat(member->process.rss_bytes, reply->rss_after));
	member->process.rss_bytes = reply->rss_after;
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
		round->outcome.n_refused++;
		peer->member.n_failed++;
		return;
	}

	peer->member.borrow_refused = true;
	if (pick->why == WHY_SETTING || round->outcome.trigger == REASON_RETAINED) {
		round->outcome.n_refused++;
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
	const bool released = end == REQUEST_ANSWERED && answer->frame->header.status == WIRE_OK;

	(void)conn;

	if (released)
		take_answer(peer, &answer->frame->reclaim_reply);
	/* The round went on without it, and has counted it. */
	if (!guard->round || guard->round->waiting != peer)
		return;

	guard->round->waiting = NULL;
	outcome = &guard->round->outcome;
	switch (end) {
	case REQUEST_ANSWERED:
		if (released)
			count_answer(outcome, &answer->frame->reclaim_reply);
		else
			take_refusal(guard, peer, answer->frame->header.status);
		break;
	case REQUEST_TIMED_OUT:
		outcome->n_timed_out++;
		peer->member.n_failed++;
		break;
	case REQUEST_GONE:
		outcome->n_gone++;
		break;
	}

	round_ask_next(guard);
}

static bool is_critical(const struct guard *guard)
{
	return guard->round->outcome.trigger == REASON_USAGE_CRITICAL;
}

static void plan_patience(struct manager *manager, uint64_t at_usec)
{
	if (manager->patience_usec != 0 && manager->patience_usec <= at_usec)
		return;

	manager->patience_usec = at_usec;
	(void)sd_event_source_set_time(manager->patience_source, at_usec);
	(void)sd_event_source_set_enabled(manager->patience_source, SD_EVENT_ONESHOT);
}

static void be_patient(struct guard *guard, uint64_t usec)
{
	struct manager *manager = guard->manager;
	const uint64_t at_usec = manager_now(manager) + usec;

	guard->round->patience_usec = at_usec;
	plan_patience(manager, at_usec);
}

enum ask {
	ASK_SENT, /* an answer will come */
	ASK_OVER, /* no answer will come; counted */
	ASK_BUSY, /* try again */
};

/* Not for ever: a frozen process answers nothing. */
static bool is_worth_waiting(struct guard *guard, struct peer *peer)
{
	struct round *round = guard->round;
	const uint64_t now_usec = manager_now(guard->manager);
	const uint64_t timeout_usec = is_critical(guard) ? BUSY_TIMEOUT_CRITICAL_USEC
							 : BUSY_TIMEOUT_USEC;

	if (!request_busy(peer->conn))
		return false;
	if (round->busy_since_usec == 0)
		round->busy_since_usec = now_usec;

	return now_usec - round->busy_since_usec < timeout_usec;
}

static void count_method(struct outcome *outcome, const struct pick *pick)
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

static enum ask round_ask(struct guard *guard, const struct pick *pick)
{
	struct outcome *outcome = &guard->round->outcome;
	struct peer *peer = find_peer(guard, pick);
	const uint64_t timeout_usec = is_critical(guard) ? RECLAIM_TIMEOUT_CRITICAL_USEC
							 : RECLAIM_TIMEOUT_USEC;
	const struct reclaim reclaim = {
		.method = pick->method == METHOD_BORROW ? WIRE_METHOD_BORROW : WIRE_METHOD_FULL,
		/* It can stop in between, and so answers in time. */
		.limit_usec = timeout_usec / 10 * 9,
	};

	if (peer && is_worth_waiting(guard, peer))
		return ASK_BUSY;

	outcome->n_asked++;
	/* Seconds may have passed since the round began. */
	if (!peer || membership_check(peer)) {
		outcome->n_gone++;
		return ASK_OVER;
	}
	if (peer_check_agent(peer) < 0 ||
	    request_reclaim(peer->conn, &reclaim, timeout_usec, on_reclaimed, peer) < 0) {
		outcome->n_refused++;
		return ASK_OVER;
	}

	count_method(outcome, pick);
	guard->round->busy_since_usec = 0;
	guard->round->waiting = peer;
	guard->round->waiting_cpu_usec = peer->member.process.cpu_usec;
	be_patient(guard, is_critical(guard) ? PATIENCE_CRITICAL_USEC : PATIENCE_USEC);
	return ASK_SENT;
}

/* Its question stays open: should it wake up, it releases, and that is learnt from. */
static void go_on_without(struct guard *guard, struct peer *peer)
{
	log_debug("Process %d (%s) does not answer and takes no CPU time: going on without it",
		  (int)peer->member.process.pid, peer->member.process.command);
	guard->round->waiting = NULL;
	guard->round->outcome.n_timed_out++;
	peer->member.n_failed++;
	round_ask_next(guard);
}

static void look_after(struct guard *guard)
{
	struct round *round = guard->round;
	struct peer *peer = round->waiting;

	round->patience_usec = 0;
	if (!peer) {
		round_ask_next(guard);
		return;
	}

	peer_survey(peer, manager_now(guard->manager));
	if (peer->member.process.cpu_usec == round->waiting_cpu_usec) {
		go_on_without(guard, peer);
		return;
	}

	/* At work: there is a deadline for that. */
	round->waiting_cpu_usec = peer->member.process.cpu_usec;
	be_patient(guard, PATIENCE_USEC);
}

/* One round for each strike: afterwards the list may be another. */
static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *manager = userdata;
	const uint64_t now_usec = manager_now(manager);
	uint64_t next_usec = UINT64_MAX;
	struct guard *guard;

	(void)source;
	(void)usec;
	manager->patience_usec = 0;
	LIST_FOREACH(guard, &manager->rounds, in_rounds) {
		const uint64_t at_usec = guard->round->patience_usec;

		if (at_usec != 0 && at_usec <= now_usec) {
			plan_patience(manager, now_usec);
			look_after(guard);
			return 0;
		}
		if (at_usec != 0)
			next_usec = MIN(next_usec, at_usec);
	}

	if (next_usec != UINT64_MAX)
		plan_patience(manager, next_usec);
	return 0;
}

int round_prepare(struct manager *manager)
{
	int r;

	r = sd_event_add_time(manager->event, &manager->patience_source, CLOCK_MONOTONIC, 0, 1,
			      on_patience, manager);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(manager->patience_source, "rounds");
	return sd_event_source_set_enabled(manager->patience_source, SD_EVENT_OFF);
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

/* One at a time: parallel releases would stall each other and every CPU of the group. */
static void round_ask_next(struct guard *guard)
{
	struct round *round = guard->round;

	while (round->next < round->decision.n_picks) {
		const enum ask ask = round_ask(guard, &round->decision.picks[round->next]);

		if (ask == ASK_BUSY && put_off(round))
			continue;

		round->n_put_off = 0;
		if (ask == ASK_BUSY) {
			be_patient(guard, BUSY_RETRY_USEC);
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

	guard->round->decision.n_picks = guard->round->next;
	if (!guard->round->waiting)
		round_finish(guard);
}

static size_t list_members(const struct guard *guard, pid_t only, const struct member **members, size_t size)
{
	const struct peer *peer;
	size_t n = 0;

	LIST_FOREACH(peer, &guard->peers, in_guard)
		if ((only == 0 || peer->member.process.pid == only) && n < size)
			members[n++] = &peer->member;

	return n;
}

/* More than this in one group: the first ones will do, and the next round takes others. */
static const struct member *members[4096];

void round_plan(const struct guard *guard, struct decision *ret)
{
	const struct gate *gate = &guard->group.gate;
	const size_t n = list_members(guard, 0, members, ARRAY_SIZE(members));

	pick_members(&guard->group, members, n,
		     gate_is_open(gate) ? gate->reason : REASON_RETAINED,
		     guard->group.settings.method, ret);
}

int round_begin(struct guard *guard, enum reason trigger, pid_t only, struct command *command)
{
	struct manager *manager = guard->manager;
	struct round *round = round_take(command);
	struct decision *decision;
	size_t n_members;

	/* As many rounds are under way as there may be: it is looked again soon. */
	if (!round)
		return -EAGAIN;

	/* A trigger has just read the group; before a command that may be seconds ago. */
	if (command)
		(void)guard_read(guard);
	guard_survey(guard);
	n_members = list_members(guard, only, members, ARRAY_SIZE(members));

	LIST_INSERT_HEAD(&manager->rounds, guard, in_rounds);
	*round = (struct round){ .used = true, .command = command };
	guard->round = round;
	decision = &round->decision;
	pick_members(&guard->group, members, n_members, trigger,
		     command && command->method != METHOD_AUTO ? command->method
							       : guard->group.settings.method,
		     decision);
	round->outcome = (struct outcome){
		.round = ++manager->n_rounds,
		.group_id = guard->group.id,
		.trigger = trigger,
		.reason = decision->reason,
		.begin_usec = manager_now(manager),
		.limit_bytes = guard->group.reading.limit_bytes,
		.usage_before_bytes = guard->group.reading.usage_bytes,
		.expected_bytes = decision->expected_bytes,
	};

	if (decision->act) {
		recorder_keep(guard, members, n_members);
		round_ask_next(guard);
	} else {
		round_finish(guard);
	}

	return 0;
}
