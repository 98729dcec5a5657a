/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A root directory of configuration files, and what loading them finds. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/config/config.h"
#include "agent/config/files.h"
#include "tests/unit/put.h"
#include "tests/unit/test.h"

static char scratch[] = "/tmp/test-config.XXXXXX";

/* All findings of one load, a line each, without the scratch directory. */
static char findings[65536];
static struct config *config;

static inline void on_message(const char *file, unsigned int line, const char *text,
		       void *userdata)
{
	const size_t n = strlen(findings), prefix = strlen(scratch);

	(void)userdata;
	if (strncmp(file, scratch, prefix) == 0)
		file += prefix;
	snprintf(findings + n, sizeof(findings) - n, "%s:%u: %s\n", file, line, text);
}

static inline void put(const char *path, const char *text)
{
	put_below(scratch, path, text);
}

static inline void put_link(const char *path, const char *target)
{
	char name[512];

	put(path, "");
	snprintf(name, sizeof(name), "%s%s", scratch, path);
	CHECK_EQ(unlink(name), 0);
	CHECK_EQ(symlink(target, name), 0);
}

/* Everything below the scratch directory, so that the next test begins with nothing. */
static inline void clear(void)
{
	char command[512];

	config = config_free(config);
	findings[0] = '\0';
	snprintf(command, sizeof(command), "rm -rf %s/*", scratch);
	CHECK_EQ(system(command), 0);
}

static inline int load_root(void)
{
	findings[0] = '\0';
	config = config_free(config);
	return config_load(NULL, scratch, false, on_message, NULL, &config);
}

static inline int load_text(const char *text)
{
	char name[512];

	put("/one.conf", text);
	findings[0] = '\0';
	config = config_free(config);
	snprintf(name, sizeof(name), "%s/one.conf", scratch);
	return config_load(name, "/nowhere", false, on_message, NULL, &config);
}

static inline struct group_settings resolve(const char *unit, const char *path)
{
	struct group_settings settings = { 0 };

	if (config)
		config_resolve(config, unit, path, &settings);
	return settings;
}

/* @text, and then the only finding. */
static inline void check_finding(const char *text, const char *expected)
{
	char line[2048];

	CHECK_EQ(load_text(text), -EINVAL);
	CHECK(!config);
	snprintf(line, sizeof(line), "/one.conf:%s\n", expected);
	CHECK_STR(findings, line);
}
