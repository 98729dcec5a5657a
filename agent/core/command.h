/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What people ask for over the bus: finds what they name, and collects the answers. */

#include "agent/core/state.h"

extern const struct bus_handler command_handler; /* userdata: struct manager */

/* One of those that it waits for has ended; with the last one the answer goes out. */
void command_close(struct command *command);

void command_take_outcome(struct command *command, const struct guard *guard,
			  const struct outcome *outcome);
