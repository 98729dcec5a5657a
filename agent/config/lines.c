/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reader below inih: every line is accounted for, whatever is in the file. */

#include "agent/config/lines.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/utf8.h"

/* Far above any configuration; below what a wrong path such as /dev/zero would take. */
#define FILE_BYTES_MAX MIB

struct reader {
	const struct lines_handler *handler;
	void *userdata;
	const char *next; /* the rest of the file */
	const char *end;
	unsigned int line;
};

_printf_(2, 3) static void fault(struct reader *reader, const char *format, ...)
{
	char text[LINES_MESSAGE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	reader->handler->on_fault(text, reader->line, reader->userdata);
}

/* Bytes of the character at @s, @n at most; 0 when it is none that can be shown. */
static size_t text_length(const char *s, size_t n)
{
	uint32_t c;
	const size_t length = utf8_length(s, n, &c);

	return length > 1 || (length == 1 && (c == '\t' || (c >= ' ' && c != 0x7f))) ? length : 0;
}

/* Column of the first byte that is not text, from 1; 0 when all is. */
static size_t find_binary(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n) {
		const size_t length = text_length(s + i, n - i);

		if (length == 0)
			return i + 1;
		i += length;
	}

	return 0;
}

/* [@s, @s + *@n) without the blanks around it. */
static const char *trim(const char *s, size_t *n)
{
	while (*n > 0 && isspace((unsigned char)s[*n - 1]))
		(*n)--;
	for (; *n > 0 && isspace((unsigned char)*s); s++)
		(*n)--;

	return s;
}

/* The next line, trimmed, not terminated; NULL at the end. */
static const char *take_line(struct reader *reader, size_t *ret_n)
{
	const char *s = reader->next, *newline;

	if (s == reader->end)
		return NULL;

	newline = memchr(s, '\n', (size_t)(reader->end - s));
	reader->next = newline ? newline + 1 : reader->end;
	*ret_n = (size_t)((newline ? newline : reader->end) - s);
	reader->line++;

	/* Windows editors begin files with a byte order mark. */
	if (reader->line == 1 && *ret_n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
		s += 3;
		*ret_n -= 3;
	}

	return trim(s, ret_n);
}

/* "[Title]". A title may hold brackets: patterns have them. */
static void read_section(struct reader *reader, const char *line)
{
	const char *close = strrchr(line, ']');
	char title[LINES_LENGTH_MAX + 1];
	const char *s = line + 1;
	size_t n;

	if (!close) {
		fault(reader, "section \"%s\" has no \"]\"; write %s]", line, line);
		return;
	}
	if (close[1] != '\0') {
		fault(reader,
		      "\"%s\" follows the section's \"]\"; move it to a line of its own",
		      close + 1 + strspn(close + 1, " \t"));
		return;
	}

	n = (size_t)(close - s);
	s = trim(s, &n);
	memcpy(title, s, n);
	title[n] = '\0';
	reader->handler->on_section(title, reader->line, reader->userdata);
}

/* A comment behind a value, or NULL. */
static const char *find_comment(const char *value)
{
	for (const char *s = value; *s; s++)
		if ((*s == '#' || *s == ';') &&
		    (s == value || isblank((unsigned char)s[-1])))
			return s;

	return NULL;
}

/* True when inih will make of @line what it says; else tells what is wrong. */
static bool check_pair(struct reader *reader, const char *line)
{
	const char *equals = strchr(line, '='), *comment;
	size_t n;

	if (!equals) {
		fault(reader,
		      "\"%s\" has no \"=\"; write KEY=VALUE, or \"#\" in front of a "
		      "comment",
		      line);
		return false;
	}

	n = (size_t)(equals - line);
	(void)trim(line, &n);
	if (n == 0) {
		fault(reader, "there is no key in front of the \"=\"; write KEY=VALUE");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)line[i])) {
			fault(reader, "\"%.*s\" is not an option's name; write KEY=VALUE",
			      (int)n, line);
			return false;
		}

	comment = find_comment(equals + 1);
	if (comment) {
		fault(reader,
		      "\"%s\" is no comment behind a value; move it to a line of its own",
		      comment);
		return false;
	}
	if (line[strlen(line) - 1] == '\\') {
		fault(reader, "a line cannot be continued with \"\\\"; write it in one");
		return false;
	}

	return true;
}

/* One line that says something. True when @buf holds a pair for inih. */
static bool read_line(struct reader *reader, const char *s, size_t n, char *buf,
		      size_t size)
{
	const size_t n_max = MIN(size - 2, (size_t)LINES_LENGTH_MAX);
	size_t column;

	if (n > n_max) {
		fault(reader,
		      "line is too long (%zu characters, at most %zu): shorten it", n,
		      n_max);
		return false;
	}

	column = find_binary(s, n);
	if (column > 0) {
		fault(reader, "byte 0x%02x at character %zu is not UTF-8 text; remove it",
		      (unsigned char)s[column - 1], column);
		return false;
	}

	memcpy(buf, s, n);
	buf[n] = '\0';
	if (buf[0] == '[') {
		read_section(reader, buf);
		return false;
	}

	return check_pair(reader, buf);
}

/* As fgets(), for inih: @buf has @size bytes. */
static char *on_inih_wants_line(char *buf, int size, void *userdata)
{
	struct reader *reader = userdata;
	const char *s;
	size_t n;

	while ((s = take_line(reader, &n)))
		if (n > 0 && *s != '#' && *s != ';' &&
		    read_line(reader, s, n, buf, (size_t)size))
			return buf;

	return NULL;
}

static int on_inih_has_pair(void *userdata, const char *section, const char *key,
			    const char *value)
{
	struct reader *reader = userdata;

	(void)section;
	reader->handler->on_pair(key, value, reader->line, reader->userdata);
	return 1;
}

/*
 * Neither opening nor reading may wait for somebody else: the daemon does nothing meanwhile. Of
 * devices /dev/null is a good configuration.
 */
static int open_file(const char *root, const char *path)
{
	_cleanup_(fd_closep) int fd =
		fd_open_below(root, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
		return -ESPIPE;

	return TAKE_FD(fd);
}

static int read_all(const char *root, const char *path, char *buf, size_t size, size_t *ret_n)
{
	_cleanup_(fd_closep) int fd = -1;
	size_t n = 0;

	fd = open_file(root, path);
	if (fd < 0)
		return fd;

	while (n < size) {
		const ssize_t r = read(fd, buf + n, size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0) {
			*ret_n = n;
			return 0;
		}

		n += (size_t)r;
	}

	return -EFBIG;
}

static void freep(char **p)
{
	free(*p);
}

int lines_read(const char *root, const char *path, const struct lines_handler *handler, void *userdata)
{
	struct reader reader = { .handler = handler, .userdata = userdata };
	_cleanup_(freep) char *text = NULL;
	size_t n = 0;
	int r;

	text = malloc(FILE_BYTES_MAX + 1);
	if (!text)
		return -ENOMEM;

	r = read_all(root, path, text, FILE_BYTES_MAX + 1, &n);
	if (r < 0)
		return r;

	if (handler->edit)
		handler->edit(text, n);

	reader.next = text;
	reader.end = text + n;
	r = ini_parse_stream(on_inih_wants_line, &reader, on_inih_has_pair, &reader);
	if (r == -2)
		return -ENOMEM;
	if (r != 0)
		fault(&reader,
		      "inih does not take this file, without a reason; compare it with "
		      "memguard.conf(5) and report a bug");

	return 0;
}
