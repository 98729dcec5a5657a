/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Typed entries of a bus dictionary a{sv}: every variadic or untyped call of sd-bus for
 * them is behind these functions. The first error is kept and makes the rest do nothing,
 * so look at it once, at the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct dict {
	sd_bus_message *message;
	int error; /* 0, or the first negative errno; -EMSGSIZE: more than max_bytes */
	size_t n_bytes;   /* of keys and values, nearly */
	size_t max_bytes; /* 0: there is no limit */
};

/* An array of dictionaries, aa{sv}, and one dictionary: alone, or a row of it. */
void dict_open_rows(struct dict *dict);
void dict_close_rows(struct dict *dict);
void dict_open(struct dict *dict);
void dict_close(struct dict *dict);

/* Entries. A string that is NULL leaves its key out. */
void dict_string(struct dict *dict, const char *key, const char *value);
void dict_bool(struct dict *dict, const char *key, bool value);
void dict_u32(struct dict *dict, const char *key, uint32_t value);
void dict_u64(struct dict *dict, const char *key, uint64_t value);
void dict_i64(struct dict *dict, const char *key, int64_t value);
void dict_u32s(struct dict *dict, const char *key, const uint32_t *values, size_t n);
void dict_u64s(struct dict *dict, const char *key, const uint64_t *values, size_t n);

/* The names of the bits set in @bits: bit i is names[i]; a NULL name is left out. */
void dict_bits(struct dict *dict, const char *key, uint32_t bits,
	       const char *const *names, size_t n);

/* An entry that is a dictionary, or an array of dictionaries. */
void dict_open_entry(struct dict *dict, const char *key);
void dict_close_entry(struct dict *dict);
void dict_open_rows_entry(struct dict *dict, const char *key);
void dict_close_rows_entry(struct dict *dict);

/*
 * @s as a peer may see it on its terminal: what is not valid UTF-8 and every control
 * character becomes "?". Returns @buf, cut at @size between characters.
 */
char *dict_clean(const char *s, char *buf, size_t size);
