/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/utf8.h"

#include "agent/basic/macro.h"

/* Bytes that a character has by its first one; 0: no character begins so. */
static size_t length_by(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;

	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t utf8_length(const char *s, size_t n, uint32_t *ret_character)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char first = (unsigned char)s[0];
	const size_t length = length_by(first);
	uint32_t c = length == 1 ? first : first & (0x7fU >> length);

	if (length == 0 || length > n)
		return 0;

	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fU);
	}

	if (c < lowest[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ||
	    (c >= 0xfdd0 && c < 0xfdf0) || (c & 0xfffe) == 0xfffe)
		return 0;

	*ret_character = c;
	return length;
}
