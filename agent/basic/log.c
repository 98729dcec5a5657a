/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Lines to stderr. Allocates nothing, keeps errno and never waits: called also when all is
 * lost, and when whoever reads the lines is stopped or swapped out.
 */

#include "agent/basic/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/fd.h"

#define LINE_MAX_BYTES 2048

static const char *name_of_program = "memguard";
static int log_max_level = LOG_INFO;
static enum log_target current_target = LOG_TARGET_AUTO;

static const char *const level_names[] = {
	[LOG_EMERG] = "emerg",	   [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit",
	[LOG_ERR] = "err",	   [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",	   [LOG_DEBUG] = "debug",
};

static const char *const target_names[] = {
	[LOG_TARGET_AUTO] = "auto",
	[LOG_TARGET_CONSOLE] = "console",
	[LOG_TARGET_JOURNAL] = "journal",
	[LOG_TARGET_NULL] = "null",
};
static unsigned long long log_lost;

void log_open(const char *name)
{
	name_of_program = name;
}

const char *log_name(void)
{
	return name_of_program;
}

int log_level_from_string(const char *s, int *ret)
{
	if (streq(s, "error"))
		s = level_names[LOG_ERR];

	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (streq(s, level_names[i])) {
			*ret = (int)i;
			return 0;
		}

	return -EINVAL;
}

const char *log_level_to_string(int level)
{
	return level_names[CLAMP(level, LOG_EMERG, LOG_DEBUG)];
}

void log_set_level(int level)
{
	log_max_level = level;
}

int log_level(void)
{
	return log_max_level;
}

static bool stderr_is_journal(void)
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

bool log_to_journal(void)
{
	return (current_target == LOG_TARGET_AUTO ||
		current_target == LOG_TARGET_JOURNAL) &&
	       stderr_is_journal();
}

int log_set_target(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(target_names); i++) {
		if (!streq(s, target_names[i]))
			continue;
		if (i == LOG_TARGET_JOURNAL && !stderr_is_journal())
			return -ENOTCONN;
		current_target = (enum log_target)i;
		return 0;
	}

	return -EINVAL;
}

enum log_target log_target(void)
{
	return current_target;
}

const char *log_target_to_string(enum log_target target)
{
	return target_names[target];
}

/* Names come from other people: none of them may begin a line of its own. */
static void blank_controls(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			s[i] = ' ';
}

/*
 * To a socket (the journal's, whose reader may be stopped), a pipe or a terminal without
 * ever waiting: the descriptor is shared with others, so its flags are not ours to change.
 * Of a pipe that is ready at least PIPE_BUF bytes are free, which is more than a line.
 */
static bool put_line(const char *line, size_t size)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n;

	n = send(STDERR_FILENO, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ENOTSOCK)
		return n == (ssize_t)size;

	return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) &&
	       fd_write_exact(STDERR_FILENO, line, size) == 0;
}

static size_t begin_line(char *line, size_t room, int level)
{
	const int n = log_to_journal() ? snprintf(line, room, "<%d>", level)
				       : snprintf(line, room, "%s: ", name_of_program);

	return MIN((size_t)MAX(n, 0), room - 1);
}

/* Tells first what was lost. False when that is not taken either. */
static bool put_lost(void)
{
	char line[128];
	size_t begin;
	int n;

	if (log_lost == 0)
		return true;

	begin = begin_line(line, sizeof(line), LOG_WARNING);
	n = snprintf(line + begin, sizeof(line) - begin,
		     "%llu lines of the log were lost: nobody took them\n", log_lost);
	if (n < 0 || !put_line(line, MIN(begin + (size_t)n, sizeof(line) - 1)))
		return false;

	log_lost = 0;
	return true;
}

void log_line(int level, const char *format, ...)
{
	const int saved_errno = errno;
	char line[LINE_MAX_BYTES];
	const size_t room = sizeof(line) - 1; /* and the newline */
	va_list arguments;
	size_t begin;
	int n;

	if (level > log_max_level || current_target == LOG_TARGET_NULL)
		return;

	begin = begin_line(line, room, level);

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
		if (!put_lost() || !put_line(line, begin + length + 1))
			log_lost++;
	}

	errno = saved_errno;
}
