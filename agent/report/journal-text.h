/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text, and the fields of a journal entry, appended to a buffer of the caller's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/basic/macro.h"
#include "agent/model/group.h"

struct text {
	char *buf;
	size_t size;
	size_t used;
	bool overflow;
};

void text_add(struct text *text, const char *format, ...) _printf_(2, 3);

/* FIELD=value and a newline; one in @value cannot begin another field. */
void text_field(struct text *text, const char *field, const char *value);
/* The same, as MEMGUARD_FIELD. */
void text_number(struct text *text, const char *field, uint64_t value);
/* The names of the group. */
void text_group(struct text *text, const struct group *group);

/* The unit, or the path. */
const char *text_name_of(const struct group *group);
