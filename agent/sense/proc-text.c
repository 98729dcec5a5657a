/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Line by line through long files of /proc, and what is looked for in them. */

#include "agent/sense/proc-text.h"

#include <errno.h>
#include <unistd.h>

#define LINE_SIZE 8192

/* What is kept between two reads: the begin of a line whose end was not read yet. */
struct scan {
	char buffer[LINE_SIZE];
	size_t length;
	bool overlong; /* the current line did not fit: drop it up to its end */
};

/* Hands out all complete lines and moves the rest to the front. */
static int scan_lines(struct scan *scan, proc_text_line_t on_line, void *userdata)
{
	char *line = scan->buffer, *stop = scan->buffer + scan->length, *end;
	int r = 0;

	while (r == 0 && (end = memchr(line, '\n', (size_t)(stop - line)))) {
		*end = '\0';
		if (!scan->overlong)
			r = on_line(line, userdata);
		scan->overlong = false;
		line = end + 1;
	}

	scan->length = (size_t)(stop - line);
	memmove(scan->buffer, line, scan->length);
	return r;
}

int proc_text_scan(int fd, proc_text_line_t on_line, void *userdata)
{
	struct scan scan;
	ssize_t n;
	int r;

	scan.length = 0;
	scan.overlong = false;

	for (;;) {
		n = read(fd, scan.buffer + scan.length,
			 sizeof(scan.buffer) - scan.length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;

		scan.length += (size_t)n;
		r = scan_lines(&scan, on_line, userdata);
		if (r != 0)
			return r;

		if (scan.length == sizeof(scan.buffer)) {
			scan.overlong = true;
			scan.length = 0;
		}
	}
}

int proc_text_seccomp(const char *line, void *userdata)
{
	static const char name[] = "Seccomp:\t";
	int *ret_mode = userdata;

	if (strncmp(line, name, strlen(name)) != 0)
		return 0;

	line += strlen(name);
	if (line[0] < '0' || line[0] > '9' || line[1])
		return -EINVAL;

	*ret_mode = line[0] - '0';
	return 1;
}

int proc_text_maps(const char *line, void *userdata)
{
	static const char deleted[] = " (deleted)";
	const char *library = userdata, *base;
	const size_t length = strlen(library);

	/* The fields in front of the path have no slash. */
	base = strrchr(line, '/');
	if (!base || strncmp(base + 1, library, length) != 0)
		return 0;

	/* A package upgrade deletes the file under the running program. */
	base += 1 + length;
	return !*base || streq(base, deleted);
}
