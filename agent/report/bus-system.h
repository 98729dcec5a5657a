/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The connection to the system bus: a convenience, never a need. Where there is no bus,
 * or it refuses us the name, nothing is missing; when it goes away it is tried again,
 * ever more seldom. Never waits for it.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

struct bus_system;

struct bus_system_handler {
	int (*attach)(sd_bus *connection, void *userdata); /* new: add objects to it */
	void (*detach)(
		void *userdata); /* about to be closed: what is open there is lost */
};

/* Only -ENOMEM and the like fail. @handler must outlive the result. */
int bus_system_new(sd_event *event, const struct bus_system_handler *handler,
		   void *userdata, struct bus_system **ret);
struct bus_system *bus_system_free(struct bus_system *system);

/* NULL unless connected and in possession of our name. */
sd_bus *bus_system_connection(const struct bus_system *system);
