/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/dict.h"

#include <errno.h>

#include "agent/basic/macro.h"
#include "agent/basic/utf8.h"

/* A cgroup path of full length still fits. */
#define TEXT_MAX 4608

static void keep(struct dict *dict, int r)
{
	if (r < 0 && dict->error == 0)
		dict->error = r;
}

static void count(struct dict *dict, size_t n_bytes)
{
	dict->n_bytes += n_bytes;
	if (dict->max_bytes > 0 && dict->n_bytes > dict->max_bytes)
		keep(dict, -EMSGSIZE);
}

static void open_container(struct dict *dict, char type, const char *contents)
{
	if (dict->error == 0)
		keep(dict, sd_bus_message_open_container(dict->message, type, contents));
}

static void close_container(struct dict *dict)
{
	if (dict->error == 0)
		keep(dict, sd_bus_message_close_container(dict->message));
}

static void append_basic(struct dict *dict, char type, const void *value)
{
	count(dict, type == 's' ? strlen(value) + 1 : sizeof(uint64_t));
	if (dict->error == 0)
		keep(dict, sd_bus_message_append_basic(dict->message, type, value));
}

static void open_value(struct dict *dict, const char *key, const char *type)
{
	open_container(dict, 'e', "sv");
	append_basic(dict, 's', key);
	open_container(dict, 'v', type);
}

static void close_value(struct dict *dict)
{
	close_container(dict);
	close_container(dict);
}

static void append_value(struct dict *dict, const char *key, const char *type,
			 const void *value)
{
	open_value(dict, key, type);
	append_basic(dict, type[0], value);
	close_value(dict);
}

void dict_open_rows(struct dict *dict)
{
	open_container(dict, 'a', "a{sv}");
}

void dict_close_rows(struct dict *dict)
{
	close_container(dict);
}

void dict_open(struct dict *dict)
{
	open_container(dict, 'a', "{sv}");
}

void dict_close(struct dict *dict)
{
	close_container(dict);
}

void dict_string(struct dict *dict, const char *key, const char *value)
{
	char text[TEXT_MAX];

	if (value)
		append_value(dict, key, "s", dict_clean(value, text, sizeof(text)));
}

void dict_bool(struct dict *dict, const char *key, bool value)
{
	/* On the wire, and for sd-bus, a boolean is an int. */
	const int number = value;

	append_value(dict, key, "b", &number);
}

void dict_u32(struct dict *dict, const char *key, uint32_t value)
{
	append_value(dict, key, "u", &value);
}

void dict_u64(struct dict *dict, const char *key, uint64_t value)
{
	append_value(dict, key, "t", &value);
}

void dict_i64(struct dict *dict, const char *key, int64_t value)
{
	append_value(dict, key, "x", &value);
}

void dict_u32s(struct dict *dict, const char *key, const uint32_t *values, size_t n)
{
	open_value(dict, key, "au");
	count(dict, n * sizeof(*values));
	if (dict->error == 0)
		keep(dict, sd_bus_message_append_array(dict->message, 'u', values,
						       n * sizeof(*values)));
	close_value(dict);
}

void dict_u64s(struct dict *dict, const char *key, const uint64_t *values, size_t n)
{
	open_value(dict, key, "at");
	count(dict, n * sizeof(*values));
	if (dict->error == 0)
		keep(dict, sd_bus_message_append_array(dict->message, 't', values,
						       n * sizeof(*values)));
	close_value(dict);
}

void dict_bits(struct dict *dict, const char *key, uint32_t bits,
	       const char *const *names, size_t n)
{
	open_value(dict, key, "as");
	open_container(dict, 'a', "s");
	for (size_t i = 0; i < n; i++)
		if (names[i] && (bits >> i & 1) != 0)
			append_basic(dict, 's', names[i]);
	close_container(dict);
	close_value(dict);
}

void dict_open_entry(struct dict *dict, const char *key)
{
	open_value(dict, key, "a{sv}");
	dict_open(dict);
}

void dict_close_entry(struct dict *dict)
{
	dict_close(dict);
	close_value(dict);
}

void dict_open_rows_entry(struct dict *dict, const char *key)
{
	open_value(dict, key, "aa{sv}");
	dict_open_rows(dict);
}

void dict_close_rows_entry(struct dict *dict)
{
	dict_close_rows(dict);
	close_value(dict);
}

/* Length of the printable character at @s, or 0: C1 control characters are none either. */
static size_t printable(const char *s)
{
	uint32_t c;
	const size_t n = utf8_length(s, 4, &c);

	return n > 0 && c >= ' ' && (c < 0x7f || c >= 0xa0) ? n : 0;
}

char *dict_clean(const char *s, char *buf, size_t size)
{
	size_t n, used = 0;

	while (*s) {
		n = printable(s);
		if (used + MAX(n, 1) >= size)
			break;
		if (n == 0)
			buf[used++] = '?';
		else
			memcpy(buf + used, s, n);
		used += n;
		s += MAX(n, 1);
	}

	buf[used] = '\0';
	return buf;
}
