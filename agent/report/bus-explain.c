/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/bus-explain.h"

#include "agent/report/bus-state.h"
#include "agent/report/rows.h"

/* Two places in files, and what to do. */
#define CLASH_MAX 2048

void bus_explain(const struct bus *bus, const struct group *group, struct dict *dict)
{
	static struct decision plan;
	struct rung rungs[STEP_MAX_];
	struct pressures pressures;
	char clash[CLASH_MAX];
	const uint64_t now_usec = bus_now(bus);

	bus->handler->plan(group, &plan, bus->userdata);
	rows_plan(dict, &plan);
	bus->handler->steps(group, rungs, bus->userdata);
	rows_steps(dict, group, rungs, now_usec);
	bus->handler->pressures(group, &pressures, bus->userdata);
	rows_pressures(dict, &pressures);
	if (bus->handler->clash(group, clash, sizeof(clash), bus->userdata))
		dict_string(dict, "clash_text", clash);
}
