/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Trees of small files that stand for control groups. */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/sense/cgroup.h"
#include "tests/unit/test.h"

/* Below the source directory, which automake names when it is not the current one. */
static inline char *data_path(const char *name)
{
	static char path[4096];
	const char *srcdir = getenv("srcdir");

	(void)snprintf(path, sizeof(path), "%s/tests/data/%s", srcdir ? srcdir : ".",
		       name);
	return path;
}

static inline int n_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline void write_file(const char *directory, const char *name, const char *text)
{
	char path[1024];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline void remove_tree(const char *path)
{
	char command[8192];

	(void)snprintf(command, sizeof(command), "rm -rf -- '%s'", path);
	CHECK_EQ(system(command), 0);
}

static inline uint64_t ram_bytes(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit;
}
