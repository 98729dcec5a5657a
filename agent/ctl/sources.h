/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What wakes the daemon beside sampling: "signals" of its status, and of a group. */

#include <jansson.h>

#include "agent/ctl/ctl.h"

/* What is in force in words, and a line for each that cannot be, with why. */
void sources_print(const struct ctl *ctl, const json_t *signals);
