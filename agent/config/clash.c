/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Overrides that are good one by one, and contradict each other where they meet. */

#include <stdio.h>

#include "agent/basic/macro.h"
#include "agent/config/config-state.h"

/* Where each of two options was last set, of what is for this group. */
struct pair {
	const struct option_row *rows[2];
	const struct source *sources[2];
};

static void note_sources(const struct scope *scope, struct pair *pair)
{
	for (size_t i = 0; i < 2; i++) {
		const struct source *source = &scope->sources[pair->rows[i] - option_rows];

		if (source->file)
			pair->sources[i] = source;
	}
}

static void find_sources(const struct config *config, const char *unit, const char *cgroup_path,
			 struct pair *pair)
{
	for (int kind = SCOPE_ALL; kind < SCOPE_MAX_; kind++)
		for (size_t i = 0; i < config->n_scopes; i++) {
			const struct scope *scope = config->scopes[i];

			if ((int)scope->kind == kind && config_matches(scope, unit, cgroup_path))
				note_sources(scope, pair);
		}
}

/* "UsageHigh=85% of FILE:LINE" */
static void describe(const struct pair *pair, size_t i, const struct group_settings *settings,
		     char *buf, size_t size)
{
	const struct source *source = pair->sources[i];
	char value[OPTION_TEXT_MAX];

	(void)option_get(pair->rows[i], settings, value);
	if (source)
		snprintf(buf, size, "%s=%s of %s:%u", pair->rows[i]->key, value, source->file,
			 source->line);
	else
		snprintf(buf, size, "%s=%s, the default,", pair->rows[i]->key, value);
}

bool config_clash(const struct config *config, const char *unit, const char *cgroup_path,
		  char *buf, size_t size)
{
	struct group_settings settings;
	char one[512], other[512];

	config_lay(config, unit, cgroup_path, &settings);
	for (unsigned int rule = 0; rule < OPTION_RULES; rule++) {
		struct pair pair = { 0 };
		const char *wrong = option_check(&settings, rule, pair.rows);

		if (!wrong)
			continue;

		find_sources(config, unit, cgroup_path, &pair);
		describe(&pair, 0, &settings, one, sizeof(one));
		describe(&pair, 1, &settings, other, sizeof(other));
		snprintf(buf, size, "%s and %s meet here, and %s; until then the lower one counts for "
			 "both", one, other, wrong);
		return true;
	}

	return false;
}
