/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The four functions a compiler may call by itself. Hidden, so that the hook needs no
 * libc for them and the program never sees them.
 */

#include <stddef.h>

#include "libhook/mem.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	while (n-- > 0)
		*t++ = *f++;

	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if (t < f)
		return memcpy(to, from, n);

	while (n-- > 0)
		t[n] = f[n];

	return to;
}

void *memset(void *to, int c, size_t n)
{
	unsigned char *t = to;

	while (n-- > 0)
		*t++ = (unsigned char)c;

	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n > 0; n--, p++, q++)
		if (*p != *q)
			return *p - *q;

	return 0;
}
