/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a group's usage moves, in words. */

#include "agent/ctl/fields.h"

#define GROWTH_MAX (2 * FORMAT_MAX)

/*
 * "growing by 5.0M/s", "shrinking by ...", "steady"; or what has moved it where the program has not: a
 * release, or its end. @group: a row of status or explain. Returns @buf.
 */
char *growth_text(const json_t *group, char buf[static GROWTH_MAX]);
