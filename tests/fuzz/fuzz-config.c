/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Configuration text: whatever is in a file, it gives settings that hold together, or
 * findings. The same text is read once more as a unit's drop-in, of which one section is ours.
 */

#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "agent/config/options.h"
#include "agent/config/unit-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void on_message(const char *file, unsigned int line, const char *text,
		       void *userdata)
{
	unsigned int *n = userdata;

	require(file && text[0] != '\0' && !strchr(text, '\n'));
	(void)line;
	(*n)++;
}

/* What is listed must be taken again, and give the same. */
static int on_item(const struct config_item *item, void *userdata)
{
	const struct option_row *row = option_find(NULL, item->key);
	struct group_settings settings;
	char text[OPTION_TEXT_MAX];

	(void)userdata;
	require(row != NULL);
	memset(&settings, 0, sizeof(settings));
	require(option_set(row, item->value, &settings) == 0);
	if (item->value[0] != '\0')
		require(strcmp(option_get(row, &settings, text), item->value) == 0);
	return 0;
}

/* Findings of a unit's file may be none to refuse it for. */
static void load(const char *path, int is_of_unit)
{
	const struct option_row *rows[2];
	struct group_settings settings;
	struct config *config = NULL;
	unsigned int n_messages = 0;
	int r;

	r = config_load(path, "", false, on_message, &n_messages, &config);
	require((r == 0) == (config != NULL));
	require((r == 0) == (n_messages == 0) || (is_of_unit && r == 0));
	if (r == 0) {
		config_resolve(config, NULL, "/", &settings);
		for (unsigned int rule = 0; rule < OPTION_RULES; rule++)
			require(!option_check(&settings, rule, rows));
		config_resolve(config, "a@b.service", "/a/b", &settings);
		require(settings.usage_high_permyriad <=
			settings.usage_critical_permyriad);
		require(config_each(config, on_item, NULL) == 0);
	}

	config_free(config);
}

/* Each line has stayed where it was, and of each byte there is itself or nothing. */
static void keep(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	unit_text_keep(text, size);
	for (size_t i = 0; i < size; i++)
		require(text[i] == (char)data[i] || (text[i] == ' ' && data[i] != '\n'));
	free(text);
}

static char directory[] = "/tmp/fuzz-config.XXXXXX", unit[64], link_path[96];

static void remove_link(void)
{
	unlink(link_path);
	rmdir(unit);
	rmdir(directory);
}

/* @path under a name in a unit's directory, for as long as we live. */
static void make_link(const char *path)
{
	require(mkdtemp(directory) != NULL);
	snprintf(unit, sizeof(unit), "%s/a@b.service.d", directory);
	snprintf(link_path, sizeof(link_path), "%s/a.conf", unit);
	require(mkdir(unit, 0700) == 0 && symlink(path, link_path) == 0 && atexit(remove_link) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		require(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		make_link(path);
	}

	require(ftruncate(fd, 0) == 0);
	require(pwrite(fd, data, size, 0) == (ssize_t)size);
	load(path, 0);
	load(link_path, 1);
	keep(data, size);
	return 0;
}
