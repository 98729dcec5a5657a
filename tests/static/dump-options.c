/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * For check-options.sh: section, key and default of every option, separated by tabs; with
 * a FILE the values in force after reading it.
 */

#include <stdio.h>

#include "agent/basic/macro.h"
#include "agent/config/config.h"

static void on_message(const char *file, unsigned int line, const char *text,
		       void *userdata _unused_)
{
	fprintf(stderr, "%s:%u: %s\n", file, line, text);
}

static int on_item(const struct config_item *item, void *userdata _unused_)
{
	return printf("%s\t%s\t%s\n", item->section, item->key, item->value) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	_cleanup_(config_freep) struct config *config = NULL;
	int r;

	r = argc > 1 ? config_load(argv[1], "", false, on_message, NULL, &config)
		     : config_defaults(&config);
	if (r >= 0)
		r = config_each(config, on_item, NULL);

	return r < 0 || fflush(stdout) != 0;
}
