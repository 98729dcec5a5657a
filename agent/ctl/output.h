/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What reaches stdout: collected while a verb runs, then written at once, through a pager
 * when it is longer than the terminal. Colour and line drawing only where they are
 * wanted.
 */

#include <jansson.h>

#include "agent/basic/macro.h"
#include "agent/ctl/ctl.h"

enum color {
	COLOR_NONE,
	COLOR_BOLD,
	COLOR_DIM,
	COLOR_GREEN,
	COLOR_YELLOW,
	COLOR_RED,
};

/* Looks at the terminal and the environment, and opens @ctl->out. */
int output_begin(struct ctl *ctl);
/* Writes what was collected. Negative when that failed, as when the disk is full. */
int output_end(struct ctl *ctl);

/* Escape sequences; "" where colour is off. Each colour is ended by COLOR_NONE. */
const char *output_color(const struct ctl *ctl, enum color color);

/* "●" or "*". */
/* Of the terminal, that @n bytes of @text take. */
size_t output_cells(const char *text, size_t n);
const char *output_bullet(const struct ctl *ctl);

/* True when JSON is wanted; then @value is what there is to say. */
bool output_json(const struct ctl *ctl, const json_t *value);

/* @permyriad of @cells, in eighths of a cell; "#" where the locale has no blocks. */
#define OUTPUT_BAR_MAX 64
char *output_bar(const struct ctl *ctl, char buf[static OUTPUT_BAR_MAX],
		 unsigned int cells, uint64_t permyriad);

/* "    Label: text", the text wrapped to the terminal beside its label. */
void output_pair(const struct ctl *ctl, const char *label, const char *format, ...)
	_printf_(3, 4);

/* A note under a table, and advice after the answer: nothing when no legend is wanted. */
void output_note(const struct ctl *ctl, const char *format, ...) _printf_(2, 3);
void output_hint(const struct ctl *ctl, const char *format, ...) _printf_(2, 3);
