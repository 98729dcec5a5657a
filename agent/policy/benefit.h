/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a round teaches the next ones. Pure. */

#include "agent/model/group.h"

/*
 * Takes an outcome in. Releases below a quarter of what was expected, or below
 * MinRelease=, double the back-off (from CooldownSec= up to 1 h); good ones clear it.
 * A command's round never lengthens it.
 * Of a round that asked nobody only when and why is kept, so that gate_step() does not
 * begin the same round again at once: give this every outcome, the quiet ones too.
 */
struct benefit benefit_add(const struct benefit *benefit,
			   const struct group_settings *settings,
			   const struct outcome *outcome);
