/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An empty answer: nothing is there, or nothing that the caller may see. */

#include "agent/ctl/ctl.h"

/* Says which it is, and what to do. Asks the daemon, unless the caller sees all anyway. */
void nobody_guarded(struct ctl *ctl);

/* The same of what was named; false where it is guarded, and only not the caller's. */
bool nobody_in(struct ctl *ctl, const char *what);

/* The same of past rounds, of @what only unless that is "". */
void nobody_asked(struct ctl *ctl, const char *what);
