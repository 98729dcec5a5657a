/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/table.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Of the terminal's width, what a column that may be cut can have. */
#define CUT_PART 4
#define CUT_LEAST 26
#define CUT_FLOOR 12 /* whatever the others have */

struct table {
	const struct ctl *ctl;
	const struct table_column *columns;
	struct libscols_table *scols;
	struct libscols_line *line;
	struct libscols_column **shown; /* by column; NULL: no room */
	size_t *cells; /* by column: the widest so far */
	size_t n_columns;
	size_t next;
	int error;
};

static bool has_room(const struct ctl *ctl, const struct table_column *column)
{
	return ctl->width == 0 || ctl->width >= column->least_width;
}

static int add_columns(struct table *table, const struct table_column *columns)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		const int flags = (columns[i].right ? SCOLS_FL_RIGHT : 0) |
				  (columns[i].cut ? SCOLS_FL_TRUNC : 0) |
				  (columns[i].wrap ? SCOLS_FL_WRAP : 0);

		if (!has_room(table->ctl, &columns[i]))
			continue;

		table->shown[i] =
			scols_table_new_column(table->scols, columns[i].name, 0, flags);
		if (!table->shown[i])
			return -ENOMEM;

		table->cells[i] = table->ctl->legend ? strlen(columns[i].name) : 0;
		if (columns[i].wrap) {
			(void)scols_column_set_wrapfunc(table->shown[i], scols_wrapnl_chunksize,
							scols_wrapnl_nextchunk, NULL);
			(void)scols_column_set_safechars(table->shown[i], "\n");
		}
	}

	return 0;
}

static void set_up(struct table *table)
{
	const struct ctl *ctl = table->ctl;

	(void)scols_table_set_stream(table->scols, ctl->out);
	(void)scols_table_enable_noheadings(table->scols, !ctl->legend);
	(void)scols_table_enable_colors(table->scols, ctl->color);
	(void)scols_table_enable_ascii(table->scols, !ctl->utf8);
	/* It would write the "\x2d" of a unit's name as "\x5cx2d": see make_printable(). */
	(void)scols_table_enable_noencoding(table->scols, 1);
	if (ctl->width > 0) {
		(void)scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_ALWAYS);
		(void)scols_table_set_termwidth(table->scols, ctl->width);
	} else {
		(void)scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER);
	}
}

int table_new(const struct ctl *ctl, const struct table_column *columns, size_t n,
	      struct table **ret)
{
	_cleanup_(table_freep) struct table *table = NULL;
	int r;

	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;

	table->ctl = ctl;
	table->columns = columns;
	table->n_columns = n;
	table->scols = scols_new_table();
	table->shown = calloc(n, sizeof(*table->shown));
	table->cells = calloc(n, sizeof(*table->cells));
	if (!table->scols || !table->shown || !table->cells)
		return -ENOMEM;

	set_up(table);
	r = add_columns(table, columns);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(table);
	return 0;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;

	scols_unref_table(table->scols);
	free(table->shown);
	free(table->cells);
	free(table);
	return NULL;
}

void table_freep(struct table **table)
{
	*table = table_free(*table);
}

void table_row(struct table *table)
{
	table->next = 0;
	table->line = scols_table_new_line(table->scols, NULL);
	if (!table->line)
		table->error = -ENOMEM;
}

/*
 * The middle of a long path says least: its beginning is everybody's, its end its own. Only
 * of ASCII, where a byte is a cell.
 */
static void cut_middle(char *text, size_t room)
{
	const char *gap = "...";
	const size_t n = strlen(text);
	const size_t head = (room - strlen(gap)) / 3, tail = room - strlen(gap) - head;

	if (n <= room)
		return;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] >= 0x80)
			return;

	memcpy(text + head, gap, strlen(gap));
	memmove(text + head + strlen(gap), text + n - tail, tail + 1);
}

/* What comes from the daemon is text; a terminal may still be unable to show it. */
static void make_printable(const struct ctl *ctl, char *text)
{
	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f || (c >= 0x80 && !ctl->utf8))
			*text = '?';
	}
}

void table_cell(struct table *table, enum color color, const char *format, ...)
{
	struct libscols_column *column;
	struct libscols_cell *cell;
	va_list arguments;
	char *text;
	size_t i;
	int n;

	if (table->error < 0 || table->next >= table->n_columns)
		return;

	i = table->next++;
	column = table->shown[i];
	if (!column)
		return;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0) {
		table->error = -ENOMEM;
		return;
	}

	make_printable(table->ctl, text);
	if (table->columns[i].cut && table->ctl->width > 0)
		cut_middle(text, MAX(table->ctl->width / CUT_PART, CUT_LEAST));
	table->cells[i] = MAX(table->cells[i], output_cells(text, strlen(text)));
	/* The line frees the text. */
	if (scols_line_refer_column_data(table->line, column, text) < 0) {
		free(text);
		table->error = -ENOMEM;
		return;
	}

	cell = scols_line_get_column_cell(table->line, column);
	if (cell && color != COLOR_NONE && table->ctl->color)
		(void)scols_cell_set_color(cell, output_color(table->ctl, color));
}

/* What @edit makes of each text in a column. */
static int edit_column(struct table *table, size_t i, void (*edit)(char *text, size_t room),
		       size_t room)
{
	struct libscols_line *line;

	for (size_t k = 0; (line = scols_table_get_line(table->scols, k)); k++) {
		const char *old = scols_line_get_column_data(line, table->shown[i]);
		char *text;

		if (!old)
			continue;
		text = strdup(old);
		if (!text)
			return -ENOMEM;
		edit(text, room);
		if (scols_line_refer_column_data(line, table->shown[i], text) < 0) {
			free(text);
			return -ENOMEM;
		}
	}

	return 0;
}

/* Cells of all columns but @but, and the blanks between. */
static size_t count_taken(const struct table *table, size_t but)
{
	size_t taken = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		taken += table->shown[i] && i != but ? table->cells[i] + 1 : 0;
	return taken;
}

/* Before libsmartcols takes the end of it, which tells one from another. */
static int cut_more(struct table *table)
{
	const size_t width = table->ctl->width;

	for (size_t i = 0; i < table->n_columns; i++) {
		const size_t room = MAX(sub_sat(width, count_taken(table, i)), CUT_FLOOR);

		if (table->columns[i].cut && table->shown[i])
			return room < table->cells[i] ? edit_column(table, i, cut_middle, room) : 0;
	}

	return 0;
}

/* At blanks, which libsmartcols would not look for. */
static void break_lines(char *text, size_t room)
{
	char *blank = NULL;
	size_t used = 0;

	while (*text) {
		const size_t n = strcspn(text, " "), cells = output_cells(text, n);

		if (blank && used + 1 + cells > room) {
			*blank = '\n';
			used = cells;
		} else {
			used += cells + (blank != NULL);
		}
		text += n;
		blank = text;
		text += *text == ' ';
	}
}

/* What the others leave to a column is known when all are there. */
static int fit(struct table *table)
{
	const size_t last = table->n_columns - 1;

	if (table->ctl->width == 0)
		return 0;
	if (!table->columns[last].wrap || !table->shown[last])
		return cut_more(table);

	return edit_column(table, last, break_lines,
			   sub_sat(table->ctl->width, count_taken(table, last)));
}

int table_print(struct table *table)
{
	int r;

	if (table->error < 0)
		return table->error;

	r = fit(table);
	if (r < 0)
		return r;

	return scols_print_table(table->scols) < 0 ? -ENOMEM : 0;
}
