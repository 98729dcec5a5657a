/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/history.h"

#include <errno.h>

int history_new(struct guard *guard)
{
	guard->history_place = sparse_take(&guard->manager->histories);
	return guard->history_place ? 0 : -ENOMEM;
}

void history_free(struct guard *guard)
{
	guard->history_place = sparse_give(&guard->manager->histories, guard->history_place,
					   guard->history != NULL);
	guard->history = NULL;
}

const struct history *history_of(const struct guard *guard)
{
	static const struct history none;

	return guard->history ? guard->history : &none;
}

struct history *history_note(struct guard *guard)
{
	guard->history = guard->history_place;
	guard->group.steps = &guard->history->steps;
	guard->group.benefit = &guard->history->benefit;
	return guard->history;
}

int history_new_lessons(struct peer *peer, struct manager *manager)
{
	peer->lessons_place = sparse_take(&manager->lessons);
	return peer->lessons_place ? 0 : -ENOMEM;
}

void history_free_lessons(struct peer *peer, struct manager *manager)
{
	peer->lessons_place = sparse_give(&manager->lessons, peer->lessons_place,
					  peer->member.lessons != NULL);
	peer->member.lessons = NULL;
}

struct lessons *history_note_lessons(struct peer *peer)
{
	peer->member.lessons = peer->lessons_place;
	return peer->member.lessons;
}

void history_make_ready(struct guard *guard)
{
	struct manager *manager = guard->manager;
	struct peer *peer;

	sparse_touch(&manager->histories, guard->history_place);
	LIST_FOREACH(peer, &guard->peers, in_guard)
		sparse_touch(&manager->lessons, peer->lessons_place);
}
