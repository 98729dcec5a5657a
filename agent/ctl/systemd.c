/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/systemd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/basic/runtime.h"
#include "agent/ctl/reply.h"

#define SERVICE "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"

#define BOOTED_DIRECTORY "/run/systemd/system"
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

/* A large machine reloads for a while. */
#define RELOAD_TIMEOUT_USEC (120 * USEC_PER_SEC)

/* A way without a bus daemon, for root and for a user's own; systemctl takes it too. */
static int open_private(const char *address, sd_bus **ret)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(bus);
	return 0;
}

static int open_user(sd_bus **ret)
{
	const char *directory = getenv("XDG_RUNTIME_DIR");
	char path[RUNTIME_DIRECTORY_MAX + sizeof("unix:path=/systemd/private")];

	/* In an address a comma, a semicolon or "%" would have a meaning: then by the bus. */
	if (!directory || strlen(directory) >= RUNTIME_DIRECTORY_MAX)
		return -ENOENT;
	snprintf(path, sizeof(path), "unix:path=%s/systemd/private", directory);
	if (access(path + strlen("unix:path="), F_OK) < 0)
		return -ENOENT;

	if (!strpbrk(directory, ",;%") && open_private(path, ret) >= 0)
		return 0;

	return sd_bus_open_user(ret);
}

/* A bus that is named is meant, also where systemd does not run (tests). */
static bool is_bus_named(void)
{
	return secure_getenv("DBUS_SYSTEM_BUS_ADDRESS") != NULL;
}

bool systemd_is_here(void)
{
	return is_bus_named() || access(BOOTED_DIRECTORY, F_OK) >= 0;
}

int systemd_open(bool user, sd_bus **ret)
{
	if (user)
		return open_user(ret);
	if (!systemd_is_here())
		return -ENOENT;
	if (is_bus_named())
		return sd_bus_open_system(ret);

	if (open_private(PRIVATE_ADDRESS, ret) >= 0)
		return 0;

	return sd_bus_open_system(ret);
}

const char *systemd_command(bool user)
{
	return user ? "systemctl --user" : "systemctl";
}

static int new_call(sd_bus *bus, const char *path, const char *interface,
		    const char *method, sd_bus_message **ret)
{
	return sd_bus_message_new_method_call(bus, ret, SERVICE, path, interface, method);
}

int systemd_load_unit(sd_bus *bus, const char *unit, char **ret_path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *answer = NULL;
	const char *path;
	char *copy;
	int r;

	r = new_call(bus, MANAGER_PATH, MANAGER, "LoadUnit", &call);
	if (r >= 0)
		r = sd_bus_message_append_basic(call, 's', unit);
	if (r >= 0)
		r = sd_bus_call(bus, call, 0, NULL, &answer);
	if (r >= 0)
		r = sd_bus_message_read_basic(answer, 'o', &path);
	if (r < 0)
		return r;

	copy = strdup(path);
	if (!copy)
		return -ENOMEM;

	*ret_path = copy;
	return 0;
}

int systemd_property(sd_bus *bus, const char *path, const char *interface,
		     const char *name, json_t **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *answer = NULL;
	char full[64];
	int r;

	snprintf(full, sizeof(full), SERVICE ".%s", interface);
	r = new_call(bus, path, "org.freedesktop.DBus.Properties", "Get", &call);
	if (r >= 0)
		r = sd_bus_message_append_basic(call, 's', full);
	if (r >= 0)
		r = sd_bus_message_append_basic(call, 's', name);
	if (r >= 0)
		r = sd_bus_call(bus, call, 0, NULL, &answer);
	if (r < 0)
		return r;

	return reply_to_json(answer, ret);
}

int systemd_reload(sd_bus *bus)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	int r;

	r = new_call(bus, MANAGER_PATH, MANAGER, "Reload", &call);
	if (r >= 0)
		r = sd_bus_call(bus, call, RELOAD_TIMEOUT_USEC, NULL, NULL);
	return r;
}
