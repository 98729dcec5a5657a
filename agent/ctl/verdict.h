/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The diagnosis of a group or process, as every verb shows it. */

#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"

/* "retained 95%", in a cell. */
void verdict_cell(struct table *table, const json_t *row);

/* "Verdict:", "Evidence:", "Try:". */
void verdict_print(const struct ctl *ctl, const json_t *row);
