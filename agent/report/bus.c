/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The one vtable, the same on the private socket and on the system bus; only how the
 * caller's user is found differs.
 */

#include "agent/report/bus.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/basic/macro.h"
#include "agent/report/bus-methods.h"
#include "agent/report/bus-names.h"
#include "agent/report/bus-reply.h"
#include "agent/report/bus-state.h"
#include "agent/report/rows.h"

/* Messages that a client may leave unread. */
#define UNREAD_MAX 16

/* Callers on the system bus whose user is being asked for. */
#define QUESTIONS_MAX 32
#define QUESTION_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* A caller on the system bus, until the bus has told who it is. */
struct question {
	LIST_ENTRY(question) list;
	struct bus *bus;
	sd_bus_message *call;
	sd_bus_slot *slot;
};

static struct question *question_free(struct question *question)
{
	LIST_REMOVE(question, list);
	sd_bus_slot_unref(question->slot);
	sd_bus_message_unref(question->call);
	free(question);
	return NULL;
}

static int on_uid(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
	struct question *question = userdata;
	uint32_t uid;

	(void)ret_error;
	if (sd_bus_message_get_error(answer) ||
	    sd_bus_message_read_basic(answer, 'u', &uid) < 0)
		bus_reply_error(question->call, -EACCES,
				"The system bus does not say who you are");
	else
		bus_methods_run(question->bus, question->call, (uid_t)uid);

	question_free(question);
	return 0;
}

static int ask_uid(sd_bus_message *call, struct question *question)
{
	sd_bus *connection = sd_bus_message_get_bus(call);
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_method_call(
		connection, &message, "org.freedesktop.DBus", "/org/freedesktop/DBus",
		"org.freedesktop.DBus", "GetConnectionUnixUser");
	if (r >= 0)
		r = sd_bus_message_append_basic(message, 's',
						sd_bus_message_get_sender(call));
	if (r >= 0)
		r = sd_bus_call_async(connection, &question->slot, message, on_uid,
				      question, QUESTION_TIMEOUT_USEC);

	sd_bus_message_unref(message);
	return r;
}

/* sd_bus_query_sender_creds() would wait for the bus, which may be swapped out. */
static int question_new(struct bus *bus, sd_bus_message *call)
{
	struct question *question;
	size_t n = 0;
	int r;

	LIST_FOREACH(question, &bus->questions, list)
	n++;
	if (n >= QUESTIONS_MAX)
		return -ENOBUFS;

	question = calloc(1, sizeof(*question));
	if (!question)
		return -ENOMEM;

	question->bus = bus;
	question->call = sd_bus_message_ref(call);
	LIST_INSERT_HEAD(&bus->questions, question, list);

	r = ask_uid(call, question);
	if (r < 0)
		question_free(question);

	return r;
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *ret_error)
{
	sd_bus *connection = sd_bus_message_get_bus(call);
	struct bus *bus = userdata;
	uint64_t n_unread = 0;
	uid_t uid;
	int r;

	(void)ret_error;
	if (bus_private_uid(bus->private, connection, &uid) < 0) {
		r = question_new(bus, call);
		if (r < 0)
			bus_reply_failure(call, r);
		return 1;
	}

	/* It asks and asks, and does not read: its answers would fill our memory. */
	if (sd_bus_get_n_queued_write(connection, &n_unread) >= 0 &&
	    n_unread > UNREAD_MAX) {
		bus_private_drop(bus->private, connection);
		return 1;
	}

	bus_methods_run(bus, call, uid);
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

	n = (uint32_t)(streq(property, "NGroups") ? facts.n_groups : facts.n_members);
	return sd_bus_message_append_basic(reply, 'u', &n);
}

#define METHOD(name, in, in_names, out, out_names)                            \
	SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, on_call, \
				 SD_BUS_VTABLE_UNPRIVILEGED)
#define ON_WHAT(name, out_name) \
	METHOD(name, "s", SD_BUS_PARAM(what), "aa{sv}", SD_BUS_PARAM(out_name))

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
	METHOD("GetConfig", "", "", "aa{sv}", SD_BUS_PARAM(options)),
	METHOD("Reload", "", "", "", ""),
	SD_BUS_SIGNAL_WITH_NAMES("RoundFinished", "a{sv}", SD_BUS_PARAM(outcome), 0),
	SD_BUS_PROPERTY("Version", "s", on_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Mode", "s", on_property, 0, 0),
	SD_BUS_PROPERTY("NGroups", "u", on_property, 0, 0),
	SD_BUS_PROPERTY("NMembers", "u", on_property, 0, 0),
	SD_BUS_VTABLE_END,
};

static int on_attach(sd_bus *connection, void *userdata)
{
	return sd_bus_add_object_vtable(connection, NULL, BUS_PATH, BUS_INTERFACE, vtable,
					userdata);
}

static void on_detach(void *userdata)
{
	struct bus *bus = userdata;
	struct question *question;

	while ((question = LIST_FIRST(&bus->questions)))
		question_free(question);
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

	/* Last, as it takes the descriptor. */
	r = bus_private_new(event, activated_fd, runtime_directory, on_attach, bus,
			    &bus->private);
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
	sd_event_unref(bus->event);
	free(bus);
	return NULL;
}

void bus_freep(struct bus **bus)
{
	*bus = bus_free(*bus);
}

struct news {
	const struct group *group;
	const struct outcome *outcome;
};

static int make_signal(sd_bus *connection, const struct news *news, sd_bus_message **ret)
{
	struct dict dict = { 0 };
	int r;

	r = sd_bus_message_new_signal(connection, &dict.message, BUS_PATH, BUS_INTERFACE,
				      "RoundFinished");
	if (r < 0)
		return r;

	dict_open(&dict);
	rows_outcome(&dict, news->group, news->outcome);
	dict_close(&dict);
	if (dict.error < 0) {
		sd_bus_message_unref(dict.message);
		return dict.error;
	}

	*ret = dict.message;
	return 0;
}

static void send_news(sd_bus *connection, uid_t uid, void *userdata)
{
	sd_bus_message *message = NULL;
	uint64_t n_unread = 0;

	if (!bus_private_is_privileged(uid) || sd_bus_is_ready(connection) <= 0)
		return;
	if (sd_bus_get_n_queued_write(connection, &n_unread) < 0 || n_unread > UNREAD_MAX)
		return;

	if (make_signal(connection, userdata, &message) >= 0)
		(void)sd_bus_send(connection, message, NULL);

	sd_bus_message_unref(message);
}

void bus_round_finished(struct bus *bus, const struct group *group,
			const struct outcome *outcome)
{
	struct news news = { group, outcome };
	sd_bus *system = bus_system_connection(bus->system);

	bus_private_each(bus->private, send_news, &news);
	/* Who may receive it there is up to memguard-dbus.conf. */
	if (system)
		send_news(system, 0, &news);
}

bool bus_has_system(const struct bus *bus)
{
	return bus_system_connection(bus->system) != NULL;
}
