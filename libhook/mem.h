/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory and text without libc. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Never of the hook itself: in tests of its parts a sanitizer has these, and they are not hidden. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#pragma GCC visibility push(default)
#else
#pragma GCC visibility push(hidden)
#endif
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#pragma GCC visibility pop

static inline size_t text_length(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;

	return n;
}

static inline bool text_equal(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b)
		a++, b++;

	return *a == *b;
}

/* If @s begins with @prefix: what follows; else NULL. */
static inline const char *text_after(const char *s, const char *prefix)
{
	while (*prefix != '\0')
		if (*s++ != *prefix++)
			return NULL;

	return s;
}

/* The first place in @s where @what begins; NULL when nowhere. */
static inline const char *text_find(const char *s, const char *what)
{
	for (; *s != '\0'; s++)
		if (text_after(s, what))
			return s;

	return NULL;
}

/*
 * Digits at *@s in @base (10 or 16); *@s then points behind them. Stops before it would
 * overflow, so that the rest of too long a number is left over for the caller to see.
 */
static inline uint64_t text_number(const char **s, unsigned int base)
{
	uint64_t n = 0;

	for (;; (*s)++) {
		unsigned int digit;

		if (**s >= '0' && **s <= '9')
			digit = (unsigned int)(**s - '0');
		else if (base == 16 && **s >= 'a' && **s <= 'f')
			digit = (unsigned int)(**s - 'a') + 10;
		else
			return n;

		if (n > (UINT64_MAX - digit) / base)
			return n;

		n = n * base + digit;
	}
}
