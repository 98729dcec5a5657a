/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Each signal of a group against its threshold, as a table. */

#include <jansson.h>

#include "agent/ctl/ctl.h"

/* 0, or as table_print(). @group: of Explain. */
int signals_print(const struct ctl *ctl, const json_t *group);

/* What thresholds of usage are compared with: its own, and what others have of the same limit. */
uint64_t signals_taken_bytes(const json_t *group);
