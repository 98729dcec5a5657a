/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the bus says unasked: bus_round_finished() and bus_changed() are made here. */

#include "agent/report/bus-state.h"

int bus_signal_start(struct bus *bus);
