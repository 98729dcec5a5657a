/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/basic/log.h"
#include "agent/core/guard.h"
#include "agent/policy/benefit.h"

#define MACHINE_FILE "/proc/pressure/memory"

/* As in watch.c: of triggers without privilege. */
#define WINDOW_USEC (2 * USEC_PER_SEC)

/* Would it be asked now, for the machine's sake alone? */
static bool can_give(const struct guard *guard, uint64_t now_usec)
{
	const struct signals machine = { .machine = true };
	const struct gate gate = gate_step(&guard->group, &machine, now_usec);

	return gate.reason == REASON_MACHINE && gate_is_open(&gate) && !guard->round;
}

static struct guard *find_richest(struct manager *manager)
{
	const uint64_t now_usec = manager_now(manager);
	struct guard *guard, *richest = NULL;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		if ((!richest || benefit_is_richer(&guard->group, &richest->group)) &&
		    can_give(guard, now_usec))
			richest = guard;

	return richest;
}

void machine_on_pressure(struct rope *rope, uint32_t revents)
{
	struct manager *manager = container_of(rope, struct manager, machine_rope);
	struct guard *guard;
	int r;

	r = psi_trigger_check(&manager->machine_psi, revents);
	if (r < 0) {
		log_debug("The machine's pressure trigger ended: %s", strerror(-r));
		machine_disarm(manager);
		manager->machine_state = r;
	}
	if (r <= 0)
		return;

	guard = find_richest(manager);
	log_debug("The machine stalls on memory; %s%s%s",
		  guard ? "asking \"" : "no group has anything to give",
		  guard ? guard->group.path : "", guard ? "\"" : "");
	if (guard) {
		guard->signals.machine = true;
		guard_look(guard);
	}
}

uint32_t machine_some(struct manager *manager)
{
	const uint64_t now_usec = manager_now(manager);
	struct psi_line some;

	if (manager->machine_read_usec != now_usec)
		manager->machine_permyriad = psi_read(AT_FDCWD, MACHINE_FILE, &some) < 0
						     ? PRESSURE_UNKNOWN
						     : some.avg10_permyriad;
	manager->machine_read_usec = now_usec;
	return manager->machine_permyriad;
}

void machine_disarm(struct manager *manager)
{
	if (psi_trigger_is_open(&manager->machine_psi))
		bell_unwatch(&manager->bell, manager->machine_psi.fd);
	psi_trigger_close(&manager->machine_psi);
	manager->machine_state = SOURCE_OFF;
}

void machine_arm(struct manager *manager)
{
	struct group_settings settings;
	uint64_t stall_usec;
	int r;

	config_resolve(manager->config, NULL, "", &settings);
	stall_usec = share_of(WINDOW_USEC, settings.machine_pressure_permyriad);
	if (psi_trigger_is_open(&manager->machine_psi) && manager->machine_psi.stall_usec == stall_usec)
		return;

	machine_disarm(manager);
	if (stall_usec == 0)
		return;

	r = psi_trigger_open(AT_FDCWD, MACHINE_FILE, stall_usec, &manager->machine_psi);
	manager->machine_rope.ring = RING_MACHINE;
	if (r >= 0)
		r = bell_watch(&manager->bell, manager->machine_psi.fd, EPOLLPRI,
			       &manager->machine_rope);
	if (r < 0) {
		log_debug("No pressure trigger of the machine: %s; each group for itself",
			  strerror(-r));
		machine_disarm(manager);
		manager->machine_state = r;
		return;
	}

	manager->machine_state = SOURCE_ARMED;
	manager->has_psi = true;
}
