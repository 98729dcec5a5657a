/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The one vtable, the same on the private socket and on the system bus; only how the
 * caller's user is found differs.
 */

#include "agent/report/bus.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/basic/macro.h"
#include "agent/report/bus-caller.h"
#include "agent/report/bus-log.h"
#include "agent/report/bus-methods.h"
#include "agent/report/bus-names.h"
#include "agent/report/bus-reply.h"
#include "agent/report/bus-signal.h"
#include "agent/report/bus-state.h"
#include "agent/report/rows.h"

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *ret_error)
{
	const char *action = bus_methods_action(sd_bus_message_get_member(call));

	(void)ret_error;
	bus_caller_check(userdata, call, action, bus_methods_run);
	return 1;
}

uint64_t bus_now(const struct bus *bus)
{
	uint64_t usec = 0;

	(void)sd_event_now(bus->event, CLOCK_MONOTONIC, &usec);
	return usec;
}

static int on_property(sd_bus *connection, const char *path, const char *interface,
		       const char *property, sd_bus_message *reply, void *userdata,
		       sd_bus_error *ret_error)
{
	const struct bus *bus = userdata;
	struct daemon_facts facts;
	char state[512];
	uint32_t n;

	(void)connection;
	(void)path;
	(void)interface;
	(void)ret_error;

	bus->handler->facts(&facts, bus->userdata);
	if (streq(property, "Version"))
		return sd_bus_message_append_basic(reply, 's', facts.version);
	if (streq(property, "Mode"))
		return sd_bus_message_append_basic(reply, 's', rows_mode(facts.mode));
	if (streq(property, "ConfigState"))
		return sd_bus_message_append_basic(
			reply, 's',
			dict_clean(facts.config_state, state, sizeof(state)));

	n = (uint32_t)(streq(property, "NGroups") ? facts.n_groups : facts.n_members);
	return sd_bus_message_append_basic(reply, 'u', &n);
}

#define METHOD(name, in, in_names, out, out_names)                            \
	SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, on_call, \
				 SD_BUS_VTABLE_UNPRIVILEGED)
#define ON_WHAT(name, out_name) \
	METHOD(name, "s", SD_BUS_PARAM(what), "aa{sv}", SD_BUS_PARAM(out_name))

#define CHANGING(name, type) \
	SD_BUS_PROPERTY(name, type, on_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

/* Rights are ours to check, call by call. */
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("GetStatus", "", "", "a{sv}", SD_BUS_PARAM(status)),
	ON_WHAT("ListGroups", groups),
	ON_WHAT("ListMembers", members),
	ON_WHAT("Show", members),
	ON_WHAT("Trim", outcomes),
	METHOD("TrimWith", "sa{sv}", SD_BUS_PARAM(what) SD_BUS_PARAM(options), "aa{sv}",
	       SD_BUS_PARAM(outcomes)),
	METHOD("Tune", "sst", SD_BUS_PARAM(what) SD_BUS_PARAM(knob) SD_BUS_PARAM(value),
	       "aa{sv}", SD_BUS_PARAM(members)),
	ON_WHAT("Explain", groups),
	ON_WHAT("ListRounds", outcomes),
	ON_WHAT("Record", lines),
	ON_WHAT("RecordLast", lines),
	METHOD("GetConfig", "", "", "aa{sv}", SD_BUS_PARAM(options)),
	METHOD("Reload", "", "", "", ""),
	SD_BUS_SIGNAL_WITH_NAMES("RoundFinished", "a{sv}", SD_BUS_PARAM(outcome), 0),
	SD_BUS_SIGNAL_WITH_NAMES("Alert", "a{sv}", SD_BUS_PARAM(alert), 0),
	SD_BUS_PROPERTY("Version", "s", on_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	CHANGING("Mode", "s"),
	CHANGING("NGroups", "u"),
	CHANGING("NMembers", "u"),
	CHANGING("ConfigState", "s"),
	SD_BUS_VTABLE_END,
};

static int on_attach(sd_bus *connection, void *userdata)
{
	int r;

	r = sd_bus_add_object_vtable(connection, NULL, BUS_PATH, BUS_INTERFACE, vtable,
				     userdata);
	return r < 0 ? r : bus_log_attach(connection, userdata);
}

static bool is_contained(pid_t pid, void *userdata)
{
	const struct bus *bus = userdata;

	return bus->handler->is_contained(pid, bus->userdata);
}

static void on_detach(void *userdata)
{
	bus_caller_forget(userdata);
}

static const struct bus_system_handler system_handler = {
	.attach = on_attach,
	.detach = on_detach,
};

int bus_new(sd_event *event, int activated_fd, const char *runtime_directory, bool system,
	    const struct bus_handler *handler, void *userdata, struct bus **ret)
{
	_cleanup_(bus_freep) struct bus *bus = NULL;
	int r;

	bus = calloc(1, sizeof(*bus));
	if (!bus)
		return -ENOMEM;

	bus->event = sd_event_ref(event);
	bus->handler = handler;
	bus->userdata = userdata;
	LIST_INIT(&bus->replies);
	LIST_INIT(&bus->questions);

	if (system) {
		r = bus_system_new(event, &system_handler, bus, &bus->system);
		if (r < 0)
			return r;
	}

	r = bus_signal_start(bus);
	if (r < 0)
		return r;

	/* Last, as it takes the descriptor. */
	r = bus_private_new(event, activated_fd, runtime_directory, on_attach, is_contained,
			    bus, &bus->private);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(bus);
	return 0;
}

struct bus *bus_free(struct bus *bus)
{
	struct bus_reply *reply;

	if (!bus)
		return NULL;

	while ((reply = LIST_FIRST(&bus->replies)))
		bus_reply_free(reply);

	bus_private_free(bus->private);
	bus_system_free(bus->system);
	sd_event_source_disable_unref(bus->changed);
	sd_event_unref(bus->event);
	free(bus);
	return NULL;
}

void bus_freep(struct bus **bus)
{
	*bus = bus_free(*bus);
}

bool bus_has_system(const struct bus *bus)
{
	return bus_system_connection(bus->system) != NULL;
}
