/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Questions to the service manager, for enable and disable. Tells nothing itself. */

#include <jansson.h>
#include <systemd/sd-bus.h>

/* -ENOENT: this machine was not booted with systemd. */
int systemd_open(sd_bus **ret);

/* The unit's object; loads it when it is not. @ret_path is malloc'ed. */
int systemd_load_unit(sd_bus *bus, const char *unit, char **ret_path);

/* @interface is "Unit" or "Service". */
int systemd_property(sd_bus *bus, const char *path, const char *interface,
		     const char *name, json_t **ret);

/* As `systemctl daemon-reload`. */
int systemd_reload(sd_bus *bus);
