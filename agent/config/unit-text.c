/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is ours in a file of systemd's. All else there is nobody's business here. */

#include "agent/config/unit-text.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "agent/basic/macro.h"

enum header {
	HEADER_NONE,   /* no header at all */
	HEADER_OTHERS,
	HEADER_NEARLY, /* not ours, but was meant to be */
	HEADER_OURS,
};

/* A bit for each byte that ends a line, 0 for others. */
static unsigned int terminator(char c)
{
	return c == '\0' ? 1 : c == '\n' ? 2 : c == '\r' ? 4 : 0;
}

static char *find_terminator(char *s, const char *end)
{
	while (s < end && terminator(*s) == 0)
		s++;

	return s;
}

/* Each of them once is one end of a line, as in "\r\n"; behind a NUL begins another line. */
static char *skip_terminators(char *s, const char *end)
{
	unsigned int seen = 0;

	while (s < end && terminator(*s) != 0 && !(seen & (terminator(*s) | terminator('\0'))))
		seen |= terminator(*s++);

	return s;
}

static const char *skip_blanks(const char *s, const char *stop)
{
	while (s < stop && isblank((unsigned char)*s))
		s++;

	return s;
}

/* An even number of backslashes at the end is as many of them. */
static bool is_continued(const char *s, const char *stop)
{
	bool odd = false;

	while (stop > s && *--stop == '\\')
		odd = !odd;

	return odd;
}

/* Where in [@s, @stop) our name ends, or NULL; not @exact: in any case, and also without its "X-". */
static const char *skip_name(const char *s, const char *stop, bool exact)
{
	const char *name = UNIT_TEXT_SECTION;
	size_t n = strlen(name);

	if (!exact && stop - s >= 2 && strncasecmp(s, "X-", 2) != 0) {
		name += 2;
		n -= 2;
	}
	if ((size_t)(stop - s) < n || (exact ? memcmp(s, name, n) : strncasecmp(s, name, n)) != 0)
		return NULL;

	s += n;
	return s < stop && (isalnum((unsigned char)*s) || *s == '-' || *s == '_') ? NULL : s;
}

static enum header look(const char *s, const char *stop)
{
	const char *behind;

	s = skip_blanks(s, stop);
	while (stop > s && isblank((unsigned char)stop[-1]))
		stop--;
	if (s == stop || *s != '[')
		return HEADER_NONE;

	s = skip_blanks(s + 1, stop);
	behind = skip_name(s, stop, true);
	if (behind)
		return skip_blanks(behind, stop) == stop - 1 && stop[-1] == ']' ? HEADER_OURS
										: HEADER_NEARLY;

	/* One that has no end is a fault, and is told as one: only where it surely is ours. */
	return stop[-1] == ']' && skip_name(s, stop, false) ? HEADER_NEARLY : HEADER_OTHERS;
}

static void blank(char *s, const char *end)
{
	for (; s < end; s++)
		if (*s != '\n')
			*s = ' ';
}

void unit_text_keep(char *text, size_t n)
{
	const char *const end = text + n;
	bool ours = false, continued = false;

	for (char *s = text, *next; s < end; s = next) {
		char *const stop = find_terminator(s, end);
		const char *first = skip_blanks(s, stop);
		enum header header = HEADER_NONE;
		bool keep = false;

		next = skip_terminators(stop, end);
		if (s == text && n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
			first = skip_blanks(s + 3, stop);

		/* A comment ends no line that is continued. */
		if (first < stop && (*first == '#' || *first == ';')) {
			blank(s, next);
			continue;
		}

		/* What belongs to the line before is no header; if that is ours, the reader refuses it. */
		if (!continued) {
			header = look(first, stop);
			ours = header == HEADER_NONE ? ours : header == HEADER_OURS;
			keep = ours || header == HEADER_NEARLY;
		}

		/* Nothing but a backslash: the line is still to begin. */
		continued = is_continued(first, stop) && (continued || stop - first > 1);
		if (!keep)
			blank(s, next);
	}
}
