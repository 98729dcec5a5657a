/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/bus-system.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/report/bus-names.h"

/* After the bus has gone away: it may come back, and may not. */
#define RETRY_FIRST_USEC (1 * USEC_PER_SEC)
#define RETRY_LAST_USEC (300 * USEC_PER_SEC)

struct bus_system {
	sd_event *event;
	const struct bus_system_handler *handler;
	void *userdata;
	sd_bus *connection;
	sd_event_source *retry;
	uint64_t retry_usec;
	bool has_name;
};

static void disconnect(struct bus_system *system)
{
	system->has_name = false;
	if (!system->connection)
		return;

	system->handler->detach(system->userdata);
	sd_bus_detach_event(system->connection);
	system->connection = sd_bus_close_unref(system->connection);
}

static void try_later(struct bus_system *system)
{
	system->retry_usec =
		CLAMP(system->retry_usec * 2, RETRY_FIRST_USEC, RETRY_LAST_USEC);
	if (sd_event_source_set_time_relative(system->retry, system->retry_usec) < 0 ||
	    sd_event_source_set_enabled(system->retry, SD_EVENT_ONESHOT) < 0)
		log_debug(
			"Cannot plan another try at the system bus; going on without it");
}

static int on_disconnected(sd_bus_message *message, void *userdata,
			   sd_bus_error *ret_error)
{
	struct bus_system *system = userdata;

	(void)message;
	(void)ret_error;
	log_debug("The system bus has gone away");
	disconnect(system);
	try_later(system);
	return 0;
}

/*
 * Without our name nobody would find us: leave. Another daemon has it, the policy file is missing or
 * not for us, or the bus went away before it answered: none of that is for ever.
 */
static int on_name(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	struct bus_system *system = userdata;
	const sd_bus_error *error = sd_bus_message_get_error(message);
	uint32_t answer = 0;

	(void)ret_error;
	if (!error && sd_bus_message_read_basic(message, 'u', &answer) < 0)
		answer = 0;

	/* 1: primary owner, 4: already the owner. */
	if (answer == 1 || answer == 4) {
		system->has_name = true;
		system->retry_usec = 0;
		return 0;
	}

	log_debug("The system bus does not give us the name %s: %s; trying again later",
		  BUS_NAME, error && error->message ? error->message : "it is taken");
	disconnect(system);
	try_later(system);
	return 0;
}

static int connect_to(struct bus_system *system)
{
	int r;

	r = sd_bus_open_system_with_description(&system->connection, "system");
	if (r < 0)
		return r;

	r = sd_bus_match_signal(system->connection, NULL, "org.freedesktop.DBus.Local",
				"/org/freedesktop/DBus/Local",
				"org.freedesktop.DBus.Local", "Disconnected",
				on_disconnected, system);
	if (r >= 0)
		r = system->handler->attach(system->connection, system->userdata);
	if (r >= 0)
		r = sd_bus_attach_event(system->connection, system->event,
					SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_bus_request_name_async(system->connection, NULL, BUS_NAME, 0,
					      on_name, system);
	if (r < 0)
		disconnect(system);

	return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct bus_system *system = userdata;

	(void)source;
	(void)usec;
	if (connect_to(system) < 0)
		try_later(system);

	return 0;
}

int bus_system_new(sd_event *event, const struct bus_system_handler *handler,
		   void *userdata, struct bus_system **ret)
{
	struct bus_system *system;
	int r;

	system = calloc(1, sizeof(*system));
	if (!system)
		return -ENOMEM;

	system->event = sd_event_ref(event);
	system->handler = handler;
	system->userdata = userdata;

	/* Late is fine: the wake-up may wait for another one. */
	r = sd_event_add_time_relative(event, &system->retry, CLOCK_MONOTONIC, 0,
				       10 * USEC_PER_SEC, on_retry, system);
	if (r >= 0)
		r = sd_event_source_set_enabled(system->retry, SD_EVENT_OFF);
	if (r < 0) {
		bus_system_free(system);
		return r;
	}

	/* A bus that is not there when services start does not exist: no second try. */
	r = connect_to(system);
	if (r < 0)
		log_debug("There is no system bus (%s); going on without it",
			  strerror(-r));
	if (r < 0 && r != -ENOENT)
		try_later(system);

	*ret = system;
	return 0;
}

struct bus_system *bus_system_free(struct bus_system *system)
{
	if (!system)
		return NULL;

	disconnect(system);
	sd_event_source_disable_unref(system->retry);
	sd_event_unref(system->event);
	free(system);
	return NULL;
}

sd_bus *bus_system_connection(const struct bus_system *system)
{
	return system && system->has_name ? system->connection : NULL;
}
