/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Configuration text: whatever is in a file, it gives settings that hold together, or
 * findings.
 */

#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "agent/config/options.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("config", MFD_CLOEXEC);
	const struct option_row *rows[2];
	struct group_settings settings;
	struct config *config = NULL;
	unsigned int n_messages = 0;
	char path[64];
	int r;

	require(fd >= 0);
	require(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	r = config_load(path, "", false, on_message, &n_messages, &config);
	require((r == 0) == (config != NULL));
	require((r == 0) == (n_messages == 0));
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
	close(fd);
	return 0;
}
