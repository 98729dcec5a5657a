/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/bus-log.h"

#include <errno.h>

#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/report/bus-caller.h"

#define LOG_PATH "/org/freedesktop/LogControl1"
#define LOG_INTERFACE "org.freedesktop.LogControl1"
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

static int on_get(sd_bus *connection, const char *path, const char *interface,
		  const char *property, sd_bus_message *reply, void *userdata,
		  sd_bus_error *ret_error)
{
	const char *value = log_name();

	(void)connection;
	(void)path;
	(void)interface;
	(void)userdata;
	(void)ret_error;

	if (streq(property, "LogLevel"))
		value = log_level_to_string(log_level());
	else if (streq(property, "LogTarget"))
		value = log_target_to_string(log_target());

	return sd_bus_message_append_basic(reply, 's', value);
}

/* Never reached: on_call() takes every Set, since who may is not known at once. */
static int on_set(sd_bus *connection, const char *path, const char *interface,
		  const char *property, sd_bus_message *value, void *userdata,
		  sd_bus_error *ret_error)
{
	(void)connection;
	(void)path;
	(void)interface;
	(void)property;
	(void)value;
	(void)userdata;
	(void)ret_error;
	return -EACCES;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", on_get, on_set, 0, 0),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", on_get, on_set, 0, 0),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", on_get, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};

/* ssv, the variant a string. */
static int read_set(sd_bus_message *call, const char **ret_interface,
		    const char **ret_property, const char **ret_value)
{
	int r;

	r = sd_bus_message_rewind(call, 1);
	if (r >= 0)
		r = sd_bus_message_read_basic(call, 's', ret_interface);
	if (r >= 0)
		r = sd_bus_message_read_basic(call, 's', ret_property);
	if (r >= 0)
		r = sd_bus_message_enter_container(call, 'v', "s");
	if (r >= 0)
		r = sd_bus_message_read_basic(call, 's', ret_value);

	return r;
}

static const char *set(const char *property, const char *value)
{
	int level;

	if (streq(property, "SyslogIdentifier"))
		return SD_BUS_ERROR_PROPERTY_READ_ONLY;

	if (streq(property, "LogLevel")) {
		if (log_level_from_string(value, &level) < 0)
			return SD_BUS_ERROR_INVALID_ARGS;
		log_set_level(level);
		return NULL;
	}

	if (streq(property, "LogTarget"))
		return log_set_target(value) < 0 ? SD_BUS_ERROR_INVALID_ARGS : NULL;

	return SD_BUS_ERROR_UNKNOWN_PROPERTY;
}

static void run_set(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	const char *interface, *property, *value, *error;

	(void)bus;
	(void)uid;
	if (read_set(call, &interface, &property, &value) < 0)
		error = SD_BUS_ERROR_INVALID_ARGS;
	else if (!streq(interface, LOG_INTERFACE))
		error = SD_BUS_ERROR_UNKNOWN_INTERFACE;
	else
		error = set(property, value);

	if (error)
		(void)sd_bus_reply_method_errorf(
			call, error,
			"LogLevel takes emerg, alert, crit, err, warning, notice, info "
			"or debug; LogTarget auto, console, null or, under systemd, "
			"journal; nothing else can be set here");
	else
		(void)sd_bus_reply_method_return(call, NULL);
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *ret_error)
{
	(void)ret_error;
	if (sd_bus_message_is_method_call(call, PROPERTIES_INTERFACE, "Set") <= 0)
		return 0;

	bus_caller_check(userdata, call, ACTION_ROOT, run_set);
	return 1;
}

int bus_log_attach(sd_bus *connection, struct bus *bus)
{
	int r;

	/* Comes before the table, and leaves all but Set to it. */
	r = sd_bus_add_object(connection, NULL, LOG_PATH, on_call, bus);
	if (r < 0)
		return r;

	return sd_bus_add_object_vtable(connection, NULL, LOG_PATH, LOG_INTERFACE, vtable,
					bus);
}
