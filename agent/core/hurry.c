/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/hurry.h"

#include <inttypes.h>
#include <string.h>

#include "agent/basic/log.h"
#include "agent/core/choice.h"
#include "agent/core/peer.h"
#include "agent/core/recorder.h"
#include "agent/core/round.h"
#include "agent/core/silence.h"
#include "agent/policy/gate.h"
#include "agent/policy/yield.h"

/* Who cannot be asked for something else is not waited for longer than by a round like this. */
#define WAIT_USEC (3 * USEC_PER_SEC)

/* No stack that may not be there yet. */
static struct decision asked;

void hurry_touch(void)
{
	memset(&asked, 0, sizeof(asked));
}

static struct running running_of(const struct round *round)
{
	return (struct running){
		.reason = round->reason,
		.rushed = round->rushed,
		.member = round->waiting ? &round->waiting->member : NULL,
		.method = round->waiting ? round->decision.picks[round->next - 1].method
					 : METHOD_AUTO,
		.asked_usec = round->asked_usec,
	};
}

/* What the round is for from now on. */
static void become_urgent(struct guard *guard)
{
	struct round *round = guard->round;
	const struct gate *gate = &guard->group.gate;
	const uint64_t now_usec = manager_now(guard->manager);

	round->reason = gate->reason;
	round->rushed = gate_is_rushing(&guard->group);
	guard->group.yields = gate->reason != REASON_USAGE_CRITICAL;
	if (gate->reason == REASON_USAGE_CRITICAL)
		round->until_usec = now_usec + WAIT_USEC;
	/* Of two that came one after the other the first tells when it began. */
	if (round->outcome.hurried == REASON_NONE)
		round->outcome.hurried_usec = sub_sat(now_usec, round->outcome.begin_usec);
	round->outcome.hurried = gate->reason == REASON_USAGE_CRITICAL ? REASON_USAGE_CRITICAL
								       : REASON_OOM_ETA;
}

static void overtake(struct guard *guard, const struct pick *pick)
{
	struct round *round = guard->round;
	struct peer *peer = round->waiting;
	struct reclaim reclaim;
	const uint64_t timeout_usec = round_order(guard, pick, &reclaim);
	int r;

	r = peer_check_agent(peer);
	if (r >= 0)
		r = request_overtake(peer->conn, &reclaim, timeout_usec);
	if (r < 0) {
		log_debug("Cannot ask process %d (%s) for something faster: %s",
			  (int)peer->member.process.pid, peer->member.process.command,
			  strerror(-r));
		return;
	}

	round->outcome.n_overtaken++;
	round->decision.picks[round->next - 1] = *pick;
	round_await(guard, peer, pick);
}

/* The others are chosen when their turn comes, by how they are then. */
static void write_down(struct guard *guard, const struct running *running, enum yield yield)
{
	struct decision *decision = &guard->round->decision;
	struct choice choice;

	asked = *decision;
	choice = choice_make(guard);
	recorder_keep(guard, choice.members, choice.n, running, yield);
	asked.enough_permyriad = decision->enough_permyriad;
	*decision = asked;
}

void hurry_look(struct guard *guard)
{
	struct round *round = guard->round;
	const struct running running = running_of(round);
	const uint64_t now_usec = manager_now(guard->manager);
	struct pick pick;
	enum yield yield;

	yield = yield_decide(&guard->group, &running, now_usec, &pick);
	if (yield == YIELD_NOT)
		return;

	become_urgent(guard);
	if (yield == YIELD_ALL)
		overtake(guard, &pick);
	log_debug("Round %" PRIu64 " gives way: %s", round->outcome.round,
		  reason_to_text(round->outcome.hurried));

	/* First of all the question; now what it was decided by is written down. */
	write_down(guard, &running, yield);
	round->unseen = true;
	if (!round->waiting) {
		round_go_on(guard);
		return;
	}

	/* From now on it has to be seen at work. */
	peer_survey(round->waiting, now_usec);
	silence_begin(round);
}
