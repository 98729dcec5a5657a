/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *runtime_directory_user(char buf[static RUNTIME_DIRECTORY_MAX])
{
	const char *user = getenv("XDG_RUNTIME_DIR");
	int n;

	if (!user || user[0] != '/')
		return NULL;

	n = snprintf(buf, RUNTIME_DIRECTORY_MAX, "%s/memguard", user);
	return n < 0 || n >= RUNTIME_DIRECTORY_MAX ? NULL : buf;
}

char *runtime_directory_default(char buf[static RUNTIME_DIRECTORY_MAX])
{
	if (getuid() == 0 || !runtime_directory_user(buf))
		snprintf(buf, RUNTIME_DIRECTORY_MAX, "%s", RUNTIME_SYSTEM);

	return buf;
}
