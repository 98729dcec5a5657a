/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Questions to the service manager, for enable and disable. Tells nothing itself. */

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

/*
 * The manager of the system, or of the user whose XDG_RUNTIME_DIR is set. -ENOENT: this machine
 * was not booted with systemd, or no manager runs for that user.
 */
int systemd_open(bool user, sd_bus **ret);

/* Was this machine booted with it? */
bool systemd_is_here(void);

/* The command that talks to it, for messages. */
const char *systemd_command(bool user);

/* The unit's object; loads it when it is not. @ret_path is malloc'ed. */
int systemd_load_unit(sd_bus *bus, const char *unit, char **ret_path);

/* @interface is "Unit" or "Service". */
int systemd_property(sd_bus *bus, const char *path, const char *interface,
		     const char *name, json_t **ret);

/* As `systemctl daemon-reload`. */
int systemd_reload(sd_bus *bus);
