/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/basic/macro.h"

#define DEPTH_MAX 16

static int read_value(sd_bus_message *message, unsigned int depth, json_t **ret);

static int take(json_t *value, json_t **ret)
{
	if (!value)
		return -ENOMEM;

	*ret = value;
	return 0;
}

static int read_text(sd_bus_message *message, char type, json_t **ret)
{
	const char *text;
	int r;

	r = sd_bus_message_read_basic(message, type, &text);
	return r < 0 ? r : take(json_string(text), ret);
}

/* JSON integers end where a signed one does; nothing real is larger. */
static json_t *integer(uint64_t number)
{
	return json_integer((json_int_t)MIN(number, (uint64_t)INT64_MAX));
}

static int read_number(sd_bus_message *message, char type, json_t **ret)
{
	union {
		uint8_t byte;
		int boolean, fd;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
	} value;
	int r;

	r = sd_bus_message_read_basic(message, type, &value);
	if (r < 0)
		return r;

	switch (type) {
	case SD_BUS_TYPE_BYTE:
		return take(json_integer(value.byte), ret);
	case SD_BUS_TYPE_BOOLEAN:
		return take(json_boolean(value.boolean), ret);
	case SD_BUS_TYPE_INT16:
		return take(json_integer(value.n), ret);
	case SD_BUS_TYPE_UINT16:
		return take(json_integer(value.q), ret);
	case SD_BUS_TYPE_INT32:
		return take(json_integer(value.i), ret);
	case SD_BUS_TYPE_UINT32:
		return take(json_integer(value.u), ret);
	case SD_BUS_TYPE_INT64:
		return take(json_integer(value.x), ret);
	case SD_BUS_TYPE_UINT64:
		return take(integer(value.t), ret);
	case SD_BUS_TYPE_DOUBLE:
		return take(json_real(value.d), ret);
	}

	return -EBADMSG;
}

/* All values up to the end of the container, or of the message. */
static int read_list(sd_bus_message *message, unsigned int depth, json_t **ret)
{
	json_t *list = json_array(), *item;
	int r;

	if (!list)
		return -ENOMEM;

	while ((r = sd_bus_message_at_end(message, 0)) == 0) {
		r = read_value(message, depth + 1, &item);
		if (r >= 0 && json_array_append_new(list, item) < 0)
			r = -ENOMEM;
		if (r < 0)
			break;
	}

	if (r < 0) {
		json_decref(list);
		return r;
	}

	*ret = list;
	return 0;
}

/* Keys that are no text (a{uv}) become it: JSON has no others. */
static int read_key(sd_bus_message *message, char *buf, size_t size)
{
	json_t *key;
	int r;

	r = read_value(message, DEPTH_MAX, &key);
	if (r < 0)
		return r;

	if (json_is_string(key))
		snprintf(buf, size, "%s", json_string_value(key));
	else
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
	json_decref(key);
	return 0;
}

static int read_entry(sd_bus_message *message, unsigned int depth, json_t *object)
{
	const char *contents;
	json_t *value;
	char type, key[256];
	int r;

	r = sd_bus_message_peek_type(message, &type, &contents);
	if (r >= 0)
		r = sd_bus_message_enter_container(message, type, contents);
	if (r >= 0)
		r = read_key(message, key, sizeof(key));
	if (r >= 0)
		r = read_value(message, depth + 1, &value);
	if (r < 0)
		return r;

	if (json_object_set_new(object, key, value) < 0)
		return -ENOMEM;

	return sd_bus_message_exit_container(message);
}

static int read_dictionary(sd_bus_message *message, unsigned int depth, json_t **ret)
{
	json_t *object = json_object();
	int r;

	if (!object)
		return -ENOMEM;

	while ((r = sd_bus_message_at_end(message, 0)) == 0) {
		r = read_entry(message, depth, object);
		if (r < 0)
			break;
	}

	if (r < 0) {
		json_decref(object);
		return r;
	}

	*ret = object;
	return 0;
}

static int read_container(sd_bus_message *message, char type, const char *contents,
			  unsigned int depth, json_t **ret)
{
	json_t *value = NULL;
	int r;

	if (depth >= DEPTH_MAX)
		return -ELOOP;

	r = sd_bus_message_enter_container(message, type, contents);
	if (r < 0)
		return r;

	if (type == SD_BUS_TYPE_VARIANT)
		r = read_value(message, depth + 1, &value);
	else if (type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN)
		r = read_dictionary(message, depth, &value);
	else
		r = read_list(message, depth, &value);
	if (r >= 0)
		r = sd_bus_message_exit_container(message);

	if (r < 0) {
		json_decref(value);
		return r;
	}

	*ret = value;
	return 0;
}

static int read_value(sd_bus_message *message, unsigned int depth, json_t **ret)
{
	const char *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(message, &type, &contents);
	if (r < 0)
		return r;
	if (r == 0)
		return -EBADMSG;

	switch (type) {
	case SD_BUS_TYPE_STRING:
	case SD_BUS_TYPE_OBJECT_PATH:
	case SD_BUS_TYPE_SIGNATURE:
		return read_text(message, type, ret);
	case SD_BUS_TYPE_ARRAY:
	case SD_BUS_TYPE_VARIANT:
	case SD_BUS_TYPE_STRUCT:
		return read_container(message, type, contents, depth, ret);
	}

	return read_number(message, type, ret);
}

int reply_to_json(sd_bus_message *message, json_t **ret)
{
	json_t *list;
	int r;

	r = read_list(message, 0, &list);
	if (r < 0)
		return r;

	if (json_array_size(list) > 1) {
		*ret = list;
		return 0;
	}

	*ret = json_array_size(list) == 1 ? json_incref(json_array_get(list, 0))
					  : json_null();
	json_decref(list);
	return 0;
}
