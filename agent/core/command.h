/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What people ask for over the bus: finds what they name, and collects the answers. */

#include "agent/core/state.h"

extern const struct bus_handler command_handler; /* userdata: struct manager */

void command_take_outcome(struct command *command, const struct guard *guard,
			  const struct outcome *outcome);
