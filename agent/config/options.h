/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one table of options: key, parser, field, range, default. The manual and the
 * packaged file are checked against it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "agent/model/settings.h"

/* Room for every field in the file's own syntax. */
#define OPTION_TEXT_MAX EXEC_MAX

struct option_row {
	const char *section; /* without brackets */
	const char *key;
	const char *fallback; /* the default, in the file's own syntax; "" for nothing */
	const char *hint;     /* what is accepted, for messages: "a time such as 10s" */
	/* 0; -EINVAL not such a value; -ERANGE out of range. Writes only the field. */
	int (*parse)(const char *s, void *field);
	/* The field in the file's own syntax; @size is generous. */
	void (*format)(const void *field, char *buf, size_t size);
	size_t offset; /* in struct group_settings */
	size_t size;
};

extern const struct option_row option_rows[];
extern const size_t n_option_rows;

/* By section and key; NULL when unknown. @section NULL: any, as overrides take all. */
const struct option_row *option_find(const char *section, const char *key);

/* Sets one field; the empty value is the default. As row->parse. */
int option_set(const struct option_row *row, const char *value,
	       struct group_settings *settings);

/* The field in the file's own syntax. Returns @buf. */
char *option_get(const struct option_row *row, const struct group_settings *settings,
		 char buf[static OPTION_TEXT_MAX]);

/* Every field to its default. */
void option_reset(struct group_settings *settings);

/* Contradictions between options, such as critical <= high: so many rules. */
#define OPTION_RULES 1

/*
 * Rule number @rule on @settings: NULL, or what is wrong and what to do; then also
 * between which two options.
 */
const char *option_check(const struct group_settings *settings, unsigned int rule,
			 const struct option_row *ret_rows[static 2]);

/*
 * Makes settings that option_check() refuses safe to act on: sections that are good one
 * by one can contradict each other where they meet.
 */
void option_reconcile(struct group_settings *settings);
