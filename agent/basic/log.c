/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lines to stderr. Allocates nothing and keeps errno: called also when all is lost. */

#include "agent/basic/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/fd.h"

#define LINE_MAX_BYTES 2048

static const char *log_name = "memguard";
static int log_max_level = LOG_INFO;

void log_open(const char *name)
{
	log_name = name;
}

void log_set_level(int level)
{
	log_max_level = level;
}

int log_level(void)
{
	return log_max_level;
}

bool log_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;

	/* Inherited by children whose stderr goes elsewhere: compare. */
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

/* Names come from other people: none of them may begin a line of its own. */
static void blank_controls(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			s[i] = ' ';
}

void log_line(int level, const char *format, ...)
{
	const int saved_errno = errno;
	char line[LINE_MAX_BYTES];
	const size_t room = sizeof(line) - 1; /* and the newline */
	va_list arguments;
	size_t begin;
	int n;

	if (level > log_max_level)
		return;

	n = log_to_journal() ? snprintf(line, room, "<%d>", level)
			     : snprintf(line, room, "%s: ", log_name);
	begin = MIN((size_t)MAX(n, 0), room - 1);

	/* log_to_journal() may have changed it, and @format may say %m. */
	errno = saved_errno;
	va_start(arguments, format);
	n = vsnprintf(line + begin, room - begin, format, arguments);
	va_end(arguments);
	if (n >= 0) {
		const size_t length = MIN((size_t)n, room - begin - 1);

		/* One write, so that lines of several processes do not mix. */
		blank_controls(line + begin, length);
		line[begin + length] = '\n';
		(void)fd_write_exact(STDERR_FILENO, line, begin + length + 1);
	}

	errno = saved_errno;
}
