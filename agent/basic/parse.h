/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strict numbers with units, and back. Each parser takes the whole string or nothing:
 * 0, or -EINVAL (not such a value), -ERANGE (does not fit). Output untouched on failure.
 */

#include <stdint.h>

#include "agent/basic/macro.h"

/* "64M", "1.5G", "4096", "infinity": bytes, powers of 1024, B K M G T of either case. */
int parse_bytes(const char *s, uint64_t *ret_bytes);

/* "80%", "92.5%" up to two digits after the point, 0..100 %: in permyriad. */
int parse_percent(const char *s, uint32_t *ret_permyriad);

/*
 * "5s", "250ms", "1.5h", "1min 30s", "infinity"; a number alone is seconds. Up to three
 * digits after the point, as in sizes.
 */
int parse_usec(const char *s, uint64_t *ret_usec);

/* Plain decimal, no sign, no blanks. */
int parse_u64(const char *s, uint64_t *ret);

/* The digits that a longer text begins with: where they end; NULL: there are none, or too many. */
const char *parse_digits(const char *s, uint64_t *ret);

/* yes/no, true/false, on/off, 1/0. */
int parse_bool(const char *s, bool *ret);

/* A positive process id. */
int parse_pid(const char *s, int *ret_pid);

#define FORMAT_MAX 48

/* "1.2G", "640M", "12.0K", "17B"; "infinity". Cut, not rounded. Returns @buf. */
char *format_bytes(char buf[static FORMAT_MAX], uint64_t bytes);

/* "1.5s", "12ms", "830us", "3min 20s"; "infinity". Cut, not rounded. Returns @buf. */
char *format_usec(char buf[static FORMAT_MAX], uint64_t usec);

/* "80%", "92.5%". Returns @buf. */
char *format_percent(char buf[static FORMAT_MAX], uint32_t permyriad);
