/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/membership.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-login.h>

#include "agent/basic/log.h"
#include "agent/core/guard.h"
#include "agent/core/peer.h"

char *membership_unit(const struct manager *manager, pid_t pid, const char *path)
{
	const char *at;
	char *unit;

	if ((manager->options.system_bus || sd_pid_get_user_unit(pid, &unit) < 0) &&
	    sd_pid_get_unit(pid, &unit) < 0)
		return NULL;

	for (at = strstr(path, unit); at; at = strstr(at + 1, unit)) {
		const char end = at[strlen(unit)];

		if (at > path && at[-1] == '/' && (end == '\0' || end == '/'))
			return unit;
	}

	free(unit);
	return NULL;
}

static const char *name_of(const struct guard *guard)
{
	return guard->group.unit ? guard->group.unit : guard->group.path;
}

/* An answer that is awaited belongs to the round, or the command, that asked. */
static bool is_movable(const struct peer *peer)
{
	const struct manager *manager = peer->guard->manager;

	return manager->has_cgroup && !manager->command_guard &&
	       !request_awaited(peer->conn);
}

/* Unknown, for lack of descriptors or of the process itself, is no reason to move. */
static bool is_elsewhere(const struct peer *peer)
{
	const struct manager *manager = peer->guard->manager;
	uint64_t id = 0;
	int r;

	r = cgroup_id_of_pid(&manager->cgroup_root, peer->member.process.pid, &id);
	if (r < 0 && r != -ENODEV)
		return false;

	return id != peer->guard->group.id;
}

bool membership_check(struct peer *peer)
{
	struct guard *from = peer->guard, *to;
	int r;

	if (!is_movable(peer) || !is_elsewhere(peer) || peer_check_identity(peer) < 0)
		return false;

	r = guard_for_pid(from->manager, peer->member.process.pid, &to);
	if (r < 0) {
		log_debug("Cannot follow process %d out of \"%s\": %s; trying again",
			  (int)peer->member.process.pid, name_of(from), strerror(-r));
		return false;
	}
	/* It was moved back meanwhile; or it is the group of the next process with its pid. */
	if (to == from || peer_check_identity(peer) < 0)
		return false;

	log_debug("Process %d (%s) moved from \"%s\" to \"%s\"", (int)peer->member.process.pid,
		  peer->member.process.command, name_of(from), name_of(to));
	guard_remove_peer(from, peer);
	guard_sum_heaps(from);
	peer_join(peer, to);
	return true;
}

void membership_check_all(struct manager *manager)
{
	struct guard *guard;
	struct peer *peer, *next;

	/* New guards come in at the head: nobody is looked at twice. */
	LIST_FOREACH(guard, &manager->guards, in_manager)
		for (peer = SLIST_FIRST(&guard->peers); peer; peer = next) {
			next = SLIST_NEXT(peer, in_guard);
			(void)membership_check(peer);
		}
}
