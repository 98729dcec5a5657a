/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/fields.h"

#include <inttypes.h>
#include <stdio.h>

bool fields_find(const json_t *row, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(row, key);

	if (!json_is_integer(value))
		return false;

	*ret = (uint64_t)json_integer_value(value);
	return true;
}

uint64_t fields_number(const json_t *row, const char *key)
{
	uint64_t value = 0;

	(void)fields_find(row, key, &value);
	return value;
}

int64_t fields_signed(const json_t *row, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(row, key));
}

const char *fields_string(const json_t *row, const char *key)
{
	const char *value = json_string_value(json_object_get(row, key));

	return value ? value : "";
}

bool fields_is(const json_t *row, const char *key)
{
	return json_is_true(json_object_get(row, key));
}

static char *missing(char buf[static FORMAT_MAX])
{
	snprintf(buf, FORMAT_MAX, "-");
	return buf;
}

char *fields_bytes(const json_t *row, const char *key, char buf[static FORMAT_MAX])
{
	uint64_t bytes;

	return fields_find(row, key, &bytes) ? format_bytes(buf, bytes) : missing(buf);
}

char *fields_usec(const json_t *row, const char *key, char buf[static FORMAT_MAX])
{
	uint64_t usec;

	return fields_find(row, key, &usec) ? format_usec(buf, usec) : missing(buf);
}

bool fields_in_use(const json_t *member, uint64_t *ret)
{
	const json_t *foreign = json_object_get(member, "foreign"), *other;
	uint64_t bytes = 0, in_use;
	bool told = fields_find(member, "in_use_bytes", &bytes);
	size_t i;

	bytes = add_sat(bytes, fields_number(member, "mmapped_bytes"));
	json_array_foreach(foreign, i, other)
	{
		in_use = fields_number(other, "in_use_bytes");
		/* One that tells nothing has two zeroes. */
		told = told || in_use > 0 || fields_number(other, "retained_bytes") > 0;
		bytes = add_sat(bytes, in_use);
	}

	if (told)
		*ret = bytes;
	return told;
}

char *fields_in_use_text(const json_t *member, char buf[static FORMAT_MAX])
{
	uint64_t bytes;

	return fields_in_use(member, &bytes) ? format_bytes(buf, bytes) : missing(buf);
}

char *fields_list(const json_t *row, const char *key, char *buf, size_t size)
{
	const json_t *list = json_object_get(row, key);
	const json_t *item;
	size_t i, used = 0;

	buf[0] = '\0';
	json_array_foreach(list, i, item)
	{
		const int n =
			snprintf(buf + used, size - used, "%s%s", used > 0 ? ", " : "",
				 json_string_value(item) ? json_string_value(item) : "?");

		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}

	return buf;
}

const char *fields_name(const json_t *row)
{
	const char *unit = fields_string(row, "unit");

	return unit[0] != '\0' ? unit : fields_string(row, "path");
}

char *fields_silent(const json_t *outcome, char *buf, size_t size)
{
	const char *timed_out = fields_string(outcome, "timed_out_reason_text");
	const char *refused = fields_string(outcome, "refused_reason_text");

	buf[0] = '\0';
	if (timed_out[0] != '\0')
		snprintf(buf, size, " (process %" PRIu64 " %s)", fields_number(outcome, "timed_out_pid"),
			 timed_out);
	else if (refused[0] != '\0')
		snprintf(buf, size, " (%s)", refused);
	return buf;
}

char *fields_round_usec(uint64_t usec, char buf[static FORMAT_MAX])
{
	const unsigned long long seconds = usec / USEC_PER_SEC;

	if (usec < USEC_PER_SEC)
		return format_usec(buf, usec);

	if (seconds < 120)
		snprintf(buf, FORMAT_MAX, "%llus", seconds);
	else if (seconds < 2 * 3600)
		snprintf(buf, FORMAT_MAX, "%llumin", seconds / 60);
	else if (seconds < 2 * 86400)
		snprintf(buf, FORMAT_MAX, "%lluh", seconds / 3600);
	else
		snprintf(buf, FORMAT_MAX, "%llud", seconds / 86400);
	return buf;
}

char *fields_ago(const json_t *row, const char *key, char buf[static FORMAT_MAX])
{
	uint64_t usec;

	/* "1s" says more than microseconds that passed on the way here. */
	return fields_find(row, key, &usec) ? fields_round_usec(MAX(usec, USEC_PER_SEC), buf)
					    : missing(buf);
}
