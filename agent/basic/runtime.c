/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_DIRECTORY "/run/memguard"

char *runtime_directory_default(char buf[static RUNTIME_DIRECTORY_MAX])
{
	const char *user = getuid() != 0 ? getenv("XDG_RUNTIME_DIR") : NULL;
	int n = -1;

	if (user && user[0] == '/')
		n = snprintf(buf, RUNTIME_DIRECTORY_MAX, "%s/memguard", user);
	if (n < 0 || n >= RUNTIME_DIRECTORY_MAX)
		snprintf(buf, RUNTIME_DIRECTORY_MAX, "%s", SYSTEM_DIRECTORY);

	return buf;
}
