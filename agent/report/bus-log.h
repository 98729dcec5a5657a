/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.freedesktop.LogControl1, as systemd's own daemons have it: what "systemctl
 * service-log-level" and "service-log-target" speak to. Reading is open, setting is for
 * root and the daemon's own user.
 */

#include "agent/report/bus-state.h"

int bus_log_attach(sd_bus *connection, struct bus *bus);
