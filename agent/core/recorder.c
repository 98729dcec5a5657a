/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/lock.h"
#include "agent/basic/macro.h"
#include "agent/core/guard.h"
#include "agent/core/peer.h"
#include "agent/core/turn.h"
#include "agent/policy/pick.h"
#include "agent/report/record.h"

static void buffer_freep(char **buffer)
{
	free(*buffer);
}

static void members_freep(const struct member ***members)
{
	free(*members);
}

void recorder_keep(struct guard *guard, const struct member *const *members, size_t n_members,
		   const struct running *running, enum yield yield)
{
	struct manager *manager = guard->manager;
	const struct round *round = guard->round;
	/* It has no say in what came up after it. */
	const struct command *command = running ? NULL : round->command;
	struct group group = guard->group;
	struct group_settings settings = *group.settings;
	const struct record record = {
		.now_usec = manager_now(manager),
		.group = &group,
		.members = members,
		.n_members = n_members,
		.pressure = manager->given_signals.pressure,
		.limit_hit = manager->given_signals.limit_hit,
		.machine = manager->given_signals.machine,
		.crossed = manager->given_signals.crossed,
		.crowded = manager->given_signals.crowded,
		.command = command != NULL,
		.gate = &guard->group.gate,
		.decision = &round->decision,
		.running = running,
		.yield = yield,
	};

	group.settings = &settings;
	if (command && command->method != METHOD_AUTO)
		settings.method = command->method;
	if (!command)
		group.gate = manager->given_gate;

	manager->record_error = record_format(&record, manager->record, sizeof(manager->record));
	manager->record_round = round->outcome.round;
	manager->record_group_id = group.id;
}

void recorder_make_ready(struct guard *guard)
{
	struct manager *manager = guard->manager;
	const size_t bytes = RECORD_GROUP_BYTES + guard->group.n_members * RECORD_MEMBER_BYTES;

	touch_memory(manager->record, MIN(bytes, sizeof(manager->record)));
}

int recorder_last(struct guard *guard, char **ret)
{
	const struct manager *manager = guard->manager;
	char *text;

	if (manager->record_round == 0 || manager->record_group_id != guard->group.id)
		return -ENODATA;
	if (manager->record_error < 0)
		return -EFBIG;

	text = strdup(manager->record);
	if (!text)
		return -ENOMEM;

	*ret = text;
	return 0;
}

static int list_members(const struct guard *guard, const struct member ***ret)
{
	const struct member **members = calloc(guard->group.n_members + 1, sizeof(*members));
	const struct peer *peer;
	size_t n = 0;

	if (!members)
		return -ENOMEM;

	SLIST_FOREACH(peer, &guard->peers, in_guard)
		members[n++] = &peer->member;
	*ret = members;
	return 0;
}

static void decide(const struct group *given, const struct gate *gate,
		   const struct member *const *members, struct decision *ret)
{
	struct group group = *given;

	group.gate = *gate;
	*ret = (struct decision){ .reason = gate->reason };
	if (gate_is_open(gate))
		pick_members(&group, members, group.n_members, gate->reason, group.settings->method,
			     ret);
}

int recorder_now(struct guard *guard, char **ret)
{
	static struct decision decision;
	const uint64_t now_usec = manager_now(guard->manager);
	_cleanup_(members_freep) const struct member **members = NULL;
	_cleanup_(buffer_freep) char *text = NULL;
	struct signals signals = guard->signals;
	struct record record;
	struct gate gate;
	size_t size;
	int r;

	r = guard_read(guard);
	if (r < 0)
		return r;
	guard_survey(guard);
	if (guard->group.n_members > 0)
		guard_sum_heaps(guard);

	r = list_members(guard, &members);
	if (r < 0)
		return r;

	signals.crowded = turn_is_crowded(guard);
	gate = gate_step(&guard->group, &signals, now_usec);
	decide(&guard->group, &gate, members, &decision);
	record = (struct record){
		.now_usec = now_usec,
		.group = &guard->group,
		.members = members,
		.n_members = guard->group.n_members,
		.pressure = guard->signals.pressure,
		.limit_hit = guard->signals.limit_hit,
		.machine = guard->signals.machine,
		.crossed = guard->signals.crossed,
		.crowded = signals.crowded,
		.gate = &gate,
		.decision = &decision,
	};

	size = RECORD_GROUP_BYTES + record.n_members * RECORD_MEMBER_BYTES;
	text = malloc(size);
	if (!text)
		return -ENOMEM;

	r = record_format(&record, text, size);
	if (r >= 0)
		*ret = TAKE_PTR(text);
	return r;
}
