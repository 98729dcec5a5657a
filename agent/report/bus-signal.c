/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the bus says unasked. A slow reader loses it; nobody makes us wait or grow. */

#include "agent/report/bus-signal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/report/bus-names.h"
#include "agent/report/rows.h"
#include "agent/report/rows-alert.h"

/* Properties that change are told after this, all at once. */
#define CHANGED_DELAY_USEC (1 * USEC_PER_SEC)

/* One of the two signals: an outcome, or an alert. */
struct news {
	const char *name;
	const struct group *group;
	const struct outcome *outcome;
	const struct alert *alert;
};

static int make_signal(sd_bus *connection, const struct news *news, sd_bus_message **ret)
{
	struct dict dict = { 0 };
	int r;

	r = sd_bus_message_new_signal(connection, &dict.message, BUS_PATH, BUS_INTERFACE,
				      news->name);
	if (r < 0)
		return r;

	dict_open(&dict);
	if (news->outcome)
		rows_outcome(&dict, news->group, news->outcome);
	else
		rows_alert(&dict, news->group, news->alert);
	dict_close(&dict);
	if (dict.error < 0) {
		sd_bus_message_unref(dict.message);
		return dict.error;
	}

	*ret = dict.message;
	return 0;
}

static uint64_t n_lost;

uint64_t bus_n_signals_lost(void)
{
	return n_lost;
}

static bool is_listening(sd_bus *connection)
{
	uint64_t n_unread = 0;

	return sd_bus_is_ready(connection) > 0 &&
	       sd_bus_get_n_queued_write(connection, &n_unread) >= 0 &&
	       n_unread <= BUS_PRIVATE_UNREAD_MAX;
}

static void send_news(sd_bus *connection, uid_t uid, void *userdata)
{
	sd_bus_message *message = NULL;

	if (!bus_private_is_privileged(uid) || sd_bus_is_ready(connection) <= 0)
		return;

	/* There may be no memory just now: whatever matters is in the journal, too. */
	if (!is_listening(connection) || make_signal(connection, userdata, &message) < 0 ||
	    sd_bus_send(connection, message, NULL) < 0)
		n_lost++;

	sd_bus_message_unref(message);
}

static void tell(struct bus *bus, struct news *news)
{
	sd_bus *system = bus_system_connection(bus->system);

	bus_private_each(bus->private, send_news, news);
	/* Who may receive it there is up to memguard-dbus.conf. */
	if (system)
		send_news(system, 0, news);
}

void bus_round_finished(struct bus *bus, const struct group *group,
			const struct outcome *outcome)
{
	tell(bus, &(struct news){ "RoundFinished", group, outcome, NULL });
}

void bus_alert(struct bus *bus, const struct group *group, const struct alert *alert)
{
	if (bus)
		tell(bus, &(struct news){ "Alert", group, NULL, alert });
}

static int try_signals(sd_bus *connection, const struct news *news, size_t n)
{
	sd_bus_message *message;
	int r;

	r = sd_bus_start(connection);
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = make_signal(connection, &news[i], &message);
		if (r >= 0)
			sd_bus_message_unref(message);
	}

	return r;
}

int bus_try_signals(const struct group *group, const struct outcome *outcome,
		    const struct alert *alert)
{
	const struct news news[] = {
		{ "RoundFinished", group, outcome, NULL },
		{ "Alert", group, NULL, alert },
	};
	sd_bus *connection = NULL;
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;

	r = sd_bus_new(&connection);
	if (r >= 0)
		r = sd_bus_set_fd(connection, fds[0], fds[0]);
	/* With the connection it is closed too. */
	if (r < 0)
		(void)fd_close(fds[0]);
	else
		r = try_signals(connection, news, ARRAY_SIZE(news));

	sd_bus_close_unref(connection);
	(void)fd_close(fds[1]);
	return r;
}

static struct bus_told told_now(const struct bus *bus)
{
	struct daemon_facts facts;
	struct bus_told told;

	bus->handler->facts(&facts, bus->userdata);
	told = (struct bus_told){
		.mode = facts.mode,
		.n_groups = facts.n_groups,
		.n_members = facts.n_members,
	};
	snprintf(told.config_state, sizeof(told.config_state), "%s",
		 facts.config_state ? facts.config_state : "");
	return told;
}

static void send_changed(sd_bus *connection, uid_t uid, void *userdata)
{
	(void)uid;
	/* Everybody may read them, so everybody may hear of them. */
	if (is_listening(connection))
		(void)sd_bus_emit_properties_changed_strv(connection, BUS_PATH,
							  BUS_INTERFACE, userdata);
}

static int on_changed(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct bus *bus = userdata;
	const struct bus_told told = told_now(bus);
	sd_bus *system = bus_system_connection(bus->system);
	const char *names[5] = { NULL };
	size_t n = 0;

	(void)source;
	(void)usec;
	if (told.mode != bus->told.mode)
		names[n++] = "Mode";
	if (told.n_groups != bus->told.n_groups)
		names[n++] = "NGroups";
	if (told.n_members != bus->told.n_members)
		names[n++] = "NMembers";
	if (!streq(told.config_state, bus->told.config_state))
		names[n++] = "ConfigState";

	bus->told = told;
	if (n == 0)
		return 0;

	bus_private_each(bus->private, send_changed, names);
	if (system)
		send_changed(system, 0, names);
	return 0;
}

int bus_signal_start(struct bus *bus)
{
	int r;

	r = sd_event_add_time_relative(bus->event, &bus->changed, CLOCK_MONOTONIC,
				       CHANGED_DELAY_USEC, 0, on_changed, bus);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(bus->changed, "bus-properties");
	return sd_event_source_set_enabled(bus->changed, SD_EVENT_OFF);
}

void bus_changed(struct bus *bus)
{
	int enabled;

	if (!bus || sd_event_source_get_enabled(bus->changed, &enabled) != 0)
		return;

	(void)sd_event_source_set_time_relative(bus->changed, CHANGED_DELAY_USEC);
	(void)sd_event_source_set_enabled(bus->changed, SD_EVENT_ONESHOT);
}
