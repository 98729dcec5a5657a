/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A table as wide as the terminal allows: what has no room is left out by its rank. */

#include "agent/basic/macro.h"
#include "agent/ctl/output.h"

struct table_column {
	const char *name;
	bool right; /* numbers */
	bool cut; /* may lose its middle when space is short */
	bool wrap; /* the last one alone: may become several lines then, at blanks */
	unsigned int least_width; /* of a terminal that still shows it; 0: always shown */
};

struct table;

int table_new(const struct ctl *ctl, const struct table_column *columns, size_t n,
	      struct table **ret);
struct table *table_free(struct table *table);
void table_freep(struct table **table);

/* Cells are given in the order of the columns, all of them. Errors are kept for print. */
void table_row(struct table *table);
void table_cell(struct table *table, enum color color, const char *format, ...)
	_printf_(3, 4);

int table_print(struct table *table);
