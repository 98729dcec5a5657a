/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files in a directory that stands for the root of a machine. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/test.h"

/* Makes the file @path below @root, and the directories above it. */
static inline void put_below(const char *root, const char *path, const char *text)
{
	char name[1024];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *slash = strchr(name + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(name, 0755);
		*slash = '/';
	}

	file = fopen(name, "w");
	CHECK(file);
	if (!file)
		return;
	fputs(text, file);
	fclose(file);
}
