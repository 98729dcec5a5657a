/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading a row of an answer: keys may be missing, and then there is nothing to show. */

#include <jansson.h>

#include "agent/basic/macro.h"
#include "agent/basic/parse.h"

/* What is further away than this is no growth. */
#define FIELDS_DAY_SEC (UINT64_C(24) * 3600)

/* False when missing, and @ret is untouched. */
bool fields_find(const json_t *row, const char *key, uint64_t *ret);

/* 0, "" and false when missing. */
uint64_t fields_number(const json_t *row, const char *key);
int64_t fields_signed(const json_t *row, const char *key);
const char *fields_string(const json_t *row, const char *key);
bool fields_is(const json_t *row, const char *key);

/* As people read it; "-" when missing. Return @buf. */
char *fields_bytes(const json_t *row, const char *key, char buf[static FORMAT_MAX]);
char *fields_usec(const json_t *row, const char *key, char buf[static FORMAT_MAX]);

/*
 * Of a member, all that its allocators have handed out: in arenas, in mappings of their own,
 * and by others than glibc. False when none of them tells.
 */
bool fields_in_use(const json_t *member, uint64_t *ret);
char *fields_in_use_text(const json_t *member, char buf[static FORMAT_MAX]);

/* "a, b" from an array of strings; "" when missing or empty. */
char *fields_list(const json_t *row, const char *key, char *buf, size_t size);

/* A group's or member's unit, or its path where it has none. */
const char *fields_name(const json_t *row);

/* Of an outcome, why somebody gave no answer: " (process 12 is stopped: ...)"; "" when all did. */
char *fields_silent(const json_t *outcome, char *buf, size_t size);

/* The age @key, of a second or more: "3s". "-" when missing. */
char *fields_ago(const json_t *row, const char *key, char buf[static FORMAT_MAX]);

/* Roughly, for reading: "3s", "12min", "5h". */
char *fields_round_usec(uint64_t usec, char buf[static FORMAT_MAX]);
