/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/name.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

bool name_matches(const char *pattern, const char *path)
{
	return fnmatch(pattern, path, FNM_NOESCAPE) == 0;
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

const char *name_in_hierarchy(const char *name, bool unified)
{
	const size_t n = strlen(NAME_MOUNT);
	const char *path = name + n;

	if (strncmp(name, NAME_MOUNT, n) != 0 || (*path != '/' && *path != '\0'))
		return name;
	if (!unified) {
		path += strspn(path, "/");
		path += strcspn(path, "/");
	}

	return *path ? path : "/";
}

#define COMPARED_MAX 40

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t name_distance(const char *a, const char *b)
{
	const size_t n_a = strlen(a), n_b = strlen(b);
	unsigned char d[COMPARED_MAX + 1][COMPARED_MAX + 1];

	if (n_a > COMPARED_MAX || n_b > COMPARED_MAX)
		return SIZE_MAX;

	for (size_t i = 0; i <= n_a; i++)
		for (size_t j = 0; j <= n_b; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = (unsigned char)(i + j);
				continue;
			}

			d[i][j] = MIN(d[i - 1][j - 1] + !same_letter(a[i - 1], b[j - 1]),
				      MIN(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
			    same_letter(a[i - 2], b[j - 1]))
				d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
		}

	return d[n_a][n_b];
}

bool name_is_near(size_t distance, const char *name)
{
	return distance <= strlen(name) / 3;
}
