/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/silence.h"

#include "agent/core/peer.h"
#include "agent/sense/freezer.h"

/* Who is busy is asked for more often than is worth a look. */
#define LOOK_USEC (500 * USEC_PER_MSEC)

/* In which a hundredth of a processor pays for 50 ms that were taken in one go. */
#define REST_USEC (5 * USEC_PER_SEC)

bool silence_is_work(struct peer *peer, uint64_t since_cpu_usec)
{
	const struct member *member = &peer->member;
	const uint64_t now_usec = manager_now(peer->guard->manager);

	if (now_usec - member->time_usec >= LOOK_USEC)
		peer_survey(peer, now_usec);

	return !member_is_stopped(member) && member->process.cpu_usec != since_cpu_usec;
}

void silence_begin(struct round *round)
{
	const struct process *process = &round->waiting->member.process;

	round->waiting_cpu_usec = process->cpu_usec;
	round->waiting_rss_bytes = process->rss_bytes;
}

static bool has_time(const struct round *round)
{
	return round->reason == REASON_COMMAND || reason_is_calm(round->reason);
}

bool silence_moves(const struct round *round)
{
	const struct process *process = &round->waiting->member.process;

	if (process->cpu_usec != round->waiting_cpu_usec)
		return true;

	/* Near a kill what is resident falls of who is frozen, too: it is swapped out. */
	return has_time(round) && !member_is_stopped(&round->waiting->member) &&
	       process->rss_bytes < round->waiting_rss_bytes;
}

static bool may_rest(const struct round *round, uint64_t now_usec)
{
	return has_time(round) && round->moved_usec != 0 && now_usec - round->moved_usec < REST_USEC &&
	       !silence_is_held(round->waiting);
}

bool silence_is_over(struct round *round, uint64_t now_usec)
{
	peer_survey(round->waiting, now_usec);
	if (round->until_usec != 0 && now_usec >= round->until_usec)
		return true;
	if (!silence_moves(round))
		return !may_rest(round, now_usec);

	round->moved_usec = now_usec;
	silence_begin(round);
	return false;
}

enum silence silence_find(struct peer *peer, bool works)
{
	const struct guard *guard = peer->guard;
	const struct process *process = &peer->member.process;

	peer_survey(peer, manager_now(guard->manager));
	if (process->state == 't')
		return SILENCE_TRACED;
	if (member_is_stopped(&peer->member))
		return SILENCE_STOPPED;
	if (freezer_holds(&guard->manager->cgroup_root, &guard->cgroup, process->pid))
		return SILENCE_FROZEN;

	return works ? SILENCE_WORKING : SILENCE_STILL;
}

bool silence_is_held(struct peer *peer)
{
	return silence_find(peer, true) != SILENCE_WORKING;
}

void silence_count(struct peer *peer, bool works)
{
	outcome_count_silence(&peer->guard->round->outcome, peer->member.process.pid,
			      silence_find(peer, works));
}
