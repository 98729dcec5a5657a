/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods of org.memguard.Manager1 and who may call them. */

#include "agent/report/bus-state.h"

/* What the method needs, as for bus_caller_check(); NULL: everybody may call it. */
const char *bus_methods_action(const char *name);

/* Answers @call of user @uid, at once or (Show, Trim, Tune) when core has finished. */
void bus_methods_run(struct bus *bus, sd_bus_message *call, uid_t uid);
