/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the kernel did for a limit that a group shares with others. Pure.
 *
 * Kills are counted by where they were and not by which limit: what was killed in other groups
 * below that limit was killed for it if it ran out of memory since such kills were last found.
 */

#include <stdbool.h>

#include "agent/model/group.h"

/* Before @next is the group's reading: counts kills. True where the limit was hit since. */
bool shared_step(struct group *group, const struct reading *next);
