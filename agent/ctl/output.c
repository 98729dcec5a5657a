/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/output.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As systemd's tools: quit when it fits, keep colours and the screen, search as typed. */
#define LESS_OPTIONS "FRSXMK"

#define EXIT_NOT_FOUND 127

#define LABEL_CELLS 10

/* "80" from the environment, or 0. */
static unsigned int number_of(const char *variable)
{
	const char *value = getenv(variable);
	unsigned long number;
	char *end;

	if (!value || value[0] < '0' || value[0] > '9')
		return 0;

	number = strtoul(value, &end, 10);
	return *end == '\0' && number <= 10000 ? (unsigned int)number : 0;
}

static void measure(struct ctl *ctl)
{
	struct winsize size = { 0 };

	if (!ctl->terminal)
		return;

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	ctl->width = size.ws_col > 0 ? size.ws_col : number_of("COLUMNS");
	ctl->height = size.ws_row > 0 ? size.ws_row : number_of("LINES");
	if (ctl->width == 0)
		ctl->width = 80;
	if (ctl->height == 0)
		ctl->height = 24;
}

static bool wants_color(const struct ctl *ctl)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return ctl->terminal && (!no || no[0] == '\0') && term && !streq(term, "dumb");
}

int output_begin(struct ctl *ctl)
{
	/* Once the main program has not: without it nothing counts as UTF-8. */
	(void)setlocale(LC_CTYPE, "");

	ctl->terminal = isatty(STDOUT_FILENO) == 1;
	ctl->utf8 = streq(nl_langinfo(CODESET), "UTF-8");
	ctl->color = wants_color(ctl);
	measure(ctl);

	ctl->out = open_memstream(&ctl->text, &ctl->text_size);
	return ctl->out ? 0 : -errno;
}

static bool is_long(const struct ctl *ctl)
{
	size_t n_lines = 0;

	for (size_t i = 0; i < ctl->text_size; i++)
		n_lines += ctl->text[i] == '\n';

	/* One line is for the prompt that follows. */
	return n_lines >= ctl->height;
}

static const char *pager_name(void)
{
	static const char *const variables[] = { "MEMGUARD_PAGER", "SYSTEMD_PAGER",
						 "PAGER" };

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *name = getenv(variables[i]);

		if (name)
			return name;
	}

	return "less";
}

/* 0 when the pager has shown it; negative: show it without. */
static int page(const struct ctl *ctl)
{
	const char *name = pager_name();
	FILE *pager;
	int status;

	if (name[0] == '\0' || streq(name, "cat"))
		return -ENOENT;

	(void)setenv("LESS", LESS_OPTIONS, 0);
	(void)setenv("LESSCHARSET", "utf-8", ctl->utf8);
	/* Often run as root: a pager must not be a shell. */
	(void)setenv("LESSSECURE", "1", 1);

	pager = popen(name, "w");
	if (!pager)
		return -errno;

	/* Leaving the pager early is no failure. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)fwrite(ctl->text, 1, ctl->text_size, pager);
	status = pclose(pager);
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_FOUND ? -ENOENT : 0;
}

int output_end(struct ctl *ctl)
{
	int r = 0;

	if (!ctl->out)
		return 0;

	if (fclose(ctl->out) != 0)
		r = -ENOMEM;
	ctl->out = NULL;

	if (r >= 0 && !(ctl->terminal && ctl->pager && is_long(ctl) && page(ctl) >= 0) &&
	    (fwrite(ctl->text, 1, ctl->text_size, stdout) != ctl->text_size ||
	     fflush(stdout) != 0))
		r = -errno;

	free(ctl->text);
	ctl->text = NULL;
	return r;
}

const char *output_color(const struct ctl *ctl, enum color color)
{
	if (!ctl->color)
		return "";

	switch (color) {
	case COLOR_NONE:
		return "\033[0m";
	case COLOR_BOLD:
		return "\033[1m";
	case COLOR_DIM:
		return "\033[2m";
	case COLOR_GREEN:
		return "\033[32m";
	case COLOR_YELLOW:
		return "\033[33m";
	case COLOR_RED:
		return "\033[1;31m";
	}

	return "";
}

const char *output_bullet(const struct ctl *ctl)
{
	return ctl->utf8 ? "●" : "*";
}

bool output_json(const struct ctl *ctl, const json_t *value)
{
	switch (ctl->json) {
	case OUTPUT_TEXT:
		return false;
	case OUTPUT_JSON_SHORT:
		(void)json_dumpf(value, ctl->out, JSON_COMPACT | JSON_ENCODE_ANY);
		break;
	case OUTPUT_JSON_PRETTY:
		(void)json_dumpf(value, ctl->out, JSON_INDENT(4) | JSON_ENCODE_ANY);
		break;
	}

	fputc('\n', ctl->out);
	return true;
}

static const char *bar_cell(const struct ctl *ctl, uint64_t eighths)
{
	static const char *const blocks[] = {
		" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"
	};

	if (ctl->utf8)
		return blocks[eighths];

	return eighths >= 4 ? "#" : ".";
}

char *output_bar(const struct ctl *ctl, char buf[static OUTPUT_BAR_MAX],
		 unsigned int cells, uint64_t permyriad)
{
	const uint64_t eighths = MIN(permyriad, PERMYRIAD) * cells * 8 / PERMYRIAD;
	size_t used = 0;

	for (unsigned int i = 0; i < cells; i++) {
		const uint64_t full = CLAMP(sub_sat(eighths, i * 8), 0, 8);
		const char *cell = bar_cell(ctl, full);

		if (used + strlen(cell) >= OUTPUT_BAR_MAX)
			break;
		memcpy(buf + used, cell, strlen(cell));
		used += strlen(cell);
	}

	buf[used] = '\0';
	return buf;
}

/* Neither escape sequences take one, nor what continues a character. */
size_t output_cells(const char *text, size_t n)
{
	bool escaped = false;
	size_t cells = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\033')
			escaped = true;
		else if (escaped)
			escaped = text[i] != 'm';
		else
			cells += ((unsigned char)text[i] & 0xc0) != 0x80;
	}

	return cells;
}

/* The words of @text from column @indent on. */
static void wrap(const struct ctl *ctl, int indent, const char *text)
{
	const unsigned int taken = (unsigned int)indent;
	const size_t room = ctl->width > 2 * taken ? ctl->width - taken : SIZE_MAX;
	size_t used = 0;

	while (*text) {
		const size_t n = strcspn(text, " "), cells = output_cells(text, n);

		if (used > 0 && used + 1 + cells > room) {
			fprintf(ctl->out, "\n%*s", indent, "");
			used = 0;
		} else if (used > 0) {
			fputc(' ', ctl->out);
			used++;
		}

		fwrite(text, 1, n, ctl->out);
		used += cells;
		text += n;
		text += strspn(text, " ");
	}
}

void output_pair(const struct ctl *ctl, const char *label, const char *format, ...)
{
	va_list arguments;
	char *text;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;

	fprintf(ctl->out, "%s%*s%s ", output_color(ctl, COLOR_DIM), LABEL_CELLS, label,
		output_color(ctl, COLOR_NONE));
	wrap(ctl, LABEL_CELLS + 1, text);
	fputc('\n', ctl->out);
	free(text);
}

static void advise(const struct ctl *ctl, bool whole, const char *format, va_list arguments)
	_printf_(3, 0);

static void advise(const struct ctl *ctl, bool whole, const char *format, va_list arguments)
{
	char *text;

	if (!ctl->legend || ctl->json != OUTPUT_TEXT ||
	    vasprintf(&text, format, arguments) < 0)
		return;

	fputs(output_color(ctl, COLOR_DIM), ctl->out);
	if (whole)
		fprintf(ctl->out, "Hint: %s", text);
	else
		wrap(ctl, 0, text);
	fprintf(ctl->out, "%s\n", output_color(ctl, COLOR_NONE));
	free(text);
}

void output_note(const struct ctl *ctl, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	advise(ctl, false, format, arguments);
	va_end(arguments);
}

void output_hint(const struct ctl *ctl, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	/* A command that the terminal breaks can still be copied. */
	advise(ctl, true, format, arguments);
	va_end(arguments);
}
