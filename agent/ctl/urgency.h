/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which group to look at first: the order of all lists of groups. */

#include <jansson.h>

/* The most urgent first. NULL: no memory. To be freed; the groups stay @groups's. */
const json_t **urgency_sort(const json_t *groups);
void urgency_freep(const json_t ***sorted);
