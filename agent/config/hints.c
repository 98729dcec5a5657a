/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Nearest names, by how many letters must be typed anew. */

#include "agent/config/hints.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/basic/macro.h"
#include "agent/basic/name.h"
#include "agent/config/options.h"
#include "agent/config/unit-text.h"

_printf_(3, 4) static void append(char *buf, size_t size, const char *format, ...)
{
	const size_t n = strlen(buf);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(buf + n, size - n, format, arguments);
	va_end(arguments);
}

/* Rows of one section stand together, so each first one begins a section. */
static bool begins_section(size_t i)
{
	return i == 0 || !streq(option_rows[i - 1].section, option_rows[i].section);
}

static const char *nearest_section(const char *title)
{
	const char *nearest = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < n_option_rows; i++) {
		const size_t n = name_distance(title, option_rows[i].section);

		if (n < least) {
			least = n;
			nearest = option_rows[i].section;
		}
	}

	return nearest && name_is_near(least, nearest) ? nearest : NULL;
}

void hint_section(const char *title, char *buf, size_t size)
{
	const char *nearest = nearest_section(title);

	snprintf(buf, size, "there is no section [%s]; ", title);
	if (streq(title, UNIT_TEXT_SECTION))
		append(buf, size, "that one is for a unit's own drop-in, here write [Service NAME]; ");
	if (nearest)
		append(buf, size, "did you mean [%s]? ", nearest);

	append(buf, size, "the sections are ");
	for (size_t i = 0; i < n_option_rows; i++)
		if (begins_section(i))
			append(buf, size, "[%s], ", option_rows[i].section);
	append(buf, size, "[Service NAME] and [Cgroup PATTERN]");
}

static const struct option_row *nearest_key(const char *key)
{
	const struct option_row *nearest = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < n_option_rows; i++) {
		const size_t n = name_distance(key, option_rows[i].key);

		if (n < least) {
			least = n;
			nearest = &option_rows[i];
		}
	}

	return nearest && name_is_near(least, nearest->key) ? nearest : NULL;
}

static void append_keys(const char *section, char *buf, size_t size)
{
	const char *separator = "";

	for (size_t i = 0; i < n_option_rows; i++)
		if (streq(option_rows[i].section, section)) {
			append(buf, size, "%s%s=", separator, option_rows[i].key);
			separator = ", ";
		}
}

void hint_key(const char *section, const char *key, char *buf, size_t size)
{
	const struct option_row *row = option_find(NULL, key);
	const struct option_row *nearest = nearest_key(key);

	if (row) {
		snprintf(buf, size, "%s= is not an option of [%s]; move it below [%s]",
			 key, section, row->section);
		return;
	}

	snprintf(buf, size, "there is no option %s=; ", key);
	if (nearest) {
		append(buf, size, "did you mean %s= of [%s]?", nearest->key,
		       nearest->section);
	} else if (section) {
		append(buf, size, "those of [%s] are ", section);
		append_keys(section, buf, size);
	} else {
		append(buf, size, "memguard.conf(5) lists them");
	}
}

void hint_no_section(const char *key, char *buf, size_t size)
{
	const struct option_row *row = option_find(NULL, key);

	if (!row)
		row = nearest_key(key);

	snprintf(buf, size, "%s= stands in front of all sections; ", key);
	if (row)
		append(buf, size, "put it below [%s]", row->section);
	else
		append(buf, size,
		       "put it below the one it belongs to, memguard.conf(5) lists them");
}
