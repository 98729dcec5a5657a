/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Explain says of a group beside what ListGroups does. */

#include "agent/report/bus.h"
#include "agent/report/dict.h"

void bus_explain(const struct bus *bus, const struct group *group, struct dict *dict);
