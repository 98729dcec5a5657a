/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/journal-text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void text_add(struct text *text, const char *format, ...)
{
	const size_t left = text->size - text->used;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text->buf + text->used, left, format, arguments);
	va_end(arguments);

	if (n < 0 || (size_t)n >= left) {
		text->overflow = true;
		text->used = text->size - 1;
	} else {
		text->used += (size_t)n;
	}
}

const char *text_name_of(const struct group *group)
{
	return group->unit ? group->unit : group->path ? group->path : "?";
}

void text_number(struct text *text, const char *field, uint64_t value)
{
	text_add(text, "MEMGUARD_%s=%" PRIu64 "\n", field, value);
}

/* A line is a field: a newline in a cgroup's name must not begin another one. */
void text_field(struct text *text, const char *field, const char *value)
{
	size_t at;

	text_add(text, "%s=", field);
	at = text->used;
	text_add(text, "%s", value);
	for (; at < text->used; at++)
		if (text->buf[at] == '\n')
			text->buf[at] = '?';
	text_add(text, "\n");
}

void text_group(struct text *text, const struct group *group)
{
	if (group->path)
		text_field(text, "MEMGUARD_GROUP", group->path);
	if (!group->unit)
		return;

	text_field(text, "MEMGUARD_UNIT", group->unit);
	/* Shown by `journalctl -u` under the unit itself where the daemon is root. */
	text_field(text, "OBJECT_SYSTEMD_UNIT", group->unit);
}
