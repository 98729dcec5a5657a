/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One line of text to stderr, which is lost (and counted, and told with the next one that
 * is not) where it would have to wait. Under systemd each line carries the "<N>" level
 * prefix that the journal understands; on a terminal it carries the program name.
 * Only core/, report/journal and the mains log above debug: everybody else returns
 * a negative errno and lets the caller say what it means.
 */

#include <syslog.h>

#include "agent/basic/macro.h"

enum log_target {
	LOG_TARGET_AUTO,    /* stderr, with level prefixes where that is the journal */
	LOG_TARGET_CONSOLE, /* stderr, as for a terminal */
	LOG_TARGET_JOURNAL, /* as auto; only where stderr is the journal */
	LOG_TARGET_NULL,    /* nowhere */
};

/* @name goes in front of lines on a terminal; it is kept, not copied. */
void log_open(const char *name);
const char *log_name(void);

/* The most verbose level still printed; LOG_INFO until told otherwise. */
void log_set_level(int level);
int log_level(void);

/* "err" and "error", "info" and so on. -EINVAL: there is no such level. */
int log_level_from_string(const char *s, int *ret);
const char *log_level_to_string(int level);

/* -EINVAL: there is no such target; -ENOTCONN: stderr is not the journal. */
int log_set_target(const char *s);
enum log_target log_target(void);
const char *log_target_to_string(enum log_target target);

/*
 * True when stderr is connected to the journal ($JOURNAL_STREAM names its inode) and
 * nobody wants the log elsewhere.
 */
bool log_to_journal(void);

void log_line(int level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
