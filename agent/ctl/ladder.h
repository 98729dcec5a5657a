/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The steps that can be taken for a group, the mildest first, as a table. */

#include <jansson.h>

#include "agent/ctl/ctl.h"

/* 0, or as table_print(). @group: of Explain. */
int ladder_print(const struct ctl *ctl, const json_t *group);
