/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/history.h"

#include <errno.h>

int history_new(struct guard *guard)
{
	guard->history = sparse_take(&guard->manager->histories);
	return guard->history ? 0 : -ENOMEM;
}

void history_free(struct guard *guard)
{
	guard->history = sparse_give(&guard->manager->histories, guard->history,
				     guard->has_history);
	guard->has_history = false;
}

const struct history *history_of(const struct guard *guard)
{
	static const struct history none;

	return guard->has_history ? guard->history : &none;
}

struct history *history_note(struct guard *guard)
{
	guard->has_history = true;
	guard->group.steps = &guard->history->steps;
	guard->group.benefit = &guard->history->benefit;
	return guard->history;
}

int history_new_lessons(struct peer *peer, struct manager *manager)
{
	peer->member.lessons = sparse_take(&manager->lessons);
	return peer->member.lessons ? 0 : -ENOMEM;
}

void history_free_lessons(struct peer *peer, struct manager *manager)
{
	peer->member.lessons = sparse_give(&manager->lessons, peer->member.lessons,
					   peer->member.has_lessons);
	peer->member.has_lessons = false;
}

struct lessons *history_note_lessons(struct peer *peer)
{
	peer->member.has_lessons = true;
	return peer->member.lessons;
}

void history_make_ready(struct guard *guard)
{
	struct manager *manager = guard->manager;
	struct peer *peer;

	sparse_touch(&manager->histories, guard->history);
	SLIST_FOREACH(peer, &guard->peers, in_guard)
		sparse_touch(&manager->lessons, peer->member.lessons);
}
