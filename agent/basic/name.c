/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/name.h"

#include <stdio.h>

#include "agent/basic/macro.h"

bool name_has_suffix(const char *name)
{
	static const char *const suffixes[] = {
		".service", ".scope", ".slice", ".socket", ".mount", ".swap",
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(suffixes); i++)
		if (streq(dot, suffixes[i]))
			return true;

	return false;
}

/* Bytes of other alphabets are nothing special to a shell. */
static bool is_plain(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789@%+=:,./_-";

	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x80 && !strchr(plain, *c))
			return false;

	return name[0] != '\0';
}

char *name_quote(const char *name, char *buf, size_t size)
{
	static const char quote[] = "'\\''";
	size_t used = 0;

	if (is_plain(name)) {
		(void)snprintf(buf, size, "%s", name);
		return buf;
	}

	buf[used++] = '\'';
	for (; *name; name++) {
		const size_t n = *name == '\'' ? strlen(quote) : 1;

		if (used + n + 2 > size)
			break;
		memcpy(buf + used, *name == '\'' ? quote : name, n);
		used += n;
	}

	buf[used++] = '\'';
	buf[used] = '\0';
	return buf;
}
