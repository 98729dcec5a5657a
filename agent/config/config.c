/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings as they stand after all files: holds, looks up and lists them. */

#include "agent/config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/macro.h"
#include "agent/basic/name.h"
#include "agent/config/config-state.h"
#include "agent/config/load.h"
#include "agent/config/unit-files.h"

static struct scope *scope_free(struct scope *scope)
{
	if (!scope)
		return NULL;

	free(scope->title);
	free(scope->sources);
	free(scope);
	return NULL;
}

static void scope_freep(struct scope **scope)
{
	scope_free(*scope);
}

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;

	for (size_t i = 0; i < config->n_scopes; i++)
		scope_free(config->scopes[i]);
	free(config->scopes);
	for (size_t i = 0; i < config->n_settings; i++)
		free(config->settings[i]);
	free(config->settings);
	files_done(&config->files);
	free(config);
	return NULL;
}

void config_freep(struct config **config)
{
	config_free(*config);
}

static const char *title_word(enum scope_kind kind)
{
	return kind == SCOPE_CGROUP ? "Cgroup" : "Service";
}

static int scope_new(enum scope_kind kind, const char *name, struct scope **ret)
{
	_cleanup_(scope_freep) struct scope *scope = calloc(1, sizeof(*scope));

	if (!scope)
		return -ENOMEM;

	scope->kind = kind;
	scope->sources = calloc(n_option_rows, sizeof(*scope->sources));
	if (!scope->sources)
		return -ENOMEM;

	if (kind == SCOPE_ALL) {
		option_reset(&scope->values);
	} else {
		if (asprintf(&scope->title, "%s %s", title_word(kind), name) < 0) {
			scope->title = NULL;
			return -ENOMEM;
		}
		scope->name = scope->title + strlen(title_word(kind)) + 1;
	}

	*ret = TAKE_PTR(scope);
	return 0;
}

int config_scope(struct config *config, enum scope_kind kind, const char *name,
		 struct scope **ret)
{
	_cleanup_(scope_freep) struct scope *scope = NULL;
	struct scope **scopes;
	int r;

	for (size_t i = 0; i < config->n_scopes; i++)
		if (config->scopes[i]->kind == kind &&
		    (kind == SCOPE_ALL || streq(config->scopes[i]->name, name))) {
			*ret = config->scopes[i];
			return 0;
		}

	scopes = reallocarray(config->scopes, config->n_scopes + 1,
			      sizeof(struct scope *));
	if (!scopes)
		return -ENOMEM;
	config->scopes = scopes;

	r = scope_new(kind, name, &scope);
	if (r < 0)
		return r;

	*ret = config->scopes[config->n_scopes++] = TAKE_PTR(scope);
	return 0;
}

int config_defaults(struct config **ret)
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
	struct scope *scope;
	int r;

	if (!config)
		return -ENOMEM;

	r = config_scope(config, SCOPE_ALL, NULL, &scope);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(config);
	return 0;
}

static int find_files(const char *file, const char *root, struct files *ret)
{
	char *real = NULL;
	int r;

	if (!file)
		return files_find(root, ret);

	/* Whose it is tells its directory, which may be the one that somebody is in. */
	if (!unit_files_is_drop_in(file))
		real = realpath(file, NULL);
	if (real && unit_files_is_drop_in(real))
		file = real;
	r = files_take(file, ret);
	if (r >= 0)
		ret->items[0].of_unit = unit_files_is_drop_in(file);
	free(real);
	return r;
}

int config_load(const char *file, const char *root, bool user, config_message_t message,
		void *userdata, struct config **ret)
{
	_cleanup_(config_freep) struct config *config = NULL;
	int r;

	r = config_defaults(&config);
	if (r < 0)
		return r;

	r = find_files(file, root, &config->files);
	if (r < 0)
		return r;

	r = load_files(config, file ? "" : root, user, file != NULL, message, userdata);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(config);
	return 0;
}

/* "getty@.service" is for "getty@tty1.service". */
static bool is_instance(const char *template, const char *unit)
{
	const size_t prefix = strcspn(template, "@") + 1, n = strlen(unit);
	const char *suffix = template + prefix;

	return n > prefix + strlen(suffix) && strncmp(template, unit, prefix) == 0 &&
	       streq(unit + n - strlen(suffix), suffix);
}

bool config_matches(const struct scope *scope, const char *unit, const char *cgroup_path)
{
	switch (scope->kind) {
	case SCOPE_ALL:
		return true;
	case SCOPE_CGROUP:
		return name_matches(scope->name, cgroup_path);
	case SCOPE_TEMPLATE:
		return unit && is_instance(scope->name, unit);
	case SCOPE_SERVICE:
		return unit && streq(scope->name, unit);
	case SCOPE_MAX_:
		break;
	}

	return false;
}

void config_apply(const struct scope *scope, struct group_settings *settings)
{
	for (size_t i = 0; i < n_option_rows; i++) {
		const size_t offset = option_rows[i].offset;

		if (scope->sources[i].file)
			memcpy((char *)settings + offset,
			       (const char *)&scope->values + offset,
			       option_rows[i].size);
	}
}

void config_lay(const struct config *config, const char *unit, const char *cgroup_path,
		struct group_settings *ret)
{
	*ret = config->scopes[0]->values;

	for (int kind = SCOPE_CGROUP; kind < SCOPE_MAX_; kind++)
		for (size_t i = 1; i < config->n_scopes; i++) {
			const struct scope *scope = config->scopes[i];

			if ((int)scope->kind == kind &&
			    config_matches(scope, unit, cgroup_path))
				config_apply(scope, ret);
		}
}

void config_resolve(const struct config *config, const char *unit,
		    const char *cgroup_path, struct group_settings *ret)
{
	config_lay(config, unit, cgroup_path, ret);
	option_reconcile(ret);
}

/* Option by option, as there may be anything in between. */
static bool are_equal(const struct group_settings *a, const struct group_settings *b)
{
	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];

		if (memcmp((const char *)a + row->offset, (const char *)b + row->offset, row->size) != 0)
			return false;
	}

	return true;
}

/* Few of them: as many as there are different sets of overrides in use. */
static const struct group_settings *find_settings(const struct config *config,
						  const struct group_settings *settings)
{
	for (size_t i = 0; i < config->n_settings; i++)
		if (are_equal(config->settings[i], settings))
			return config->settings[i];

	return NULL;
}

static int keep_settings(struct config *config, const struct group_settings *settings)
{
	struct group_settings **list, *kept;

	list = reallocarray(config->settings, config->n_settings + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	config->settings = list;

	kept = malloc(sizeof(*kept));
	if (!kept)
		return -ENOMEM;

	*kept = *settings;
	config->settings[config->n_settings++] = kept;
	return 0;
}

int config_settings(struct config *config, const char *unit, const char *cgroup_path,
		    const struct group_settings **ret)
{
	const struct group_settings *found;
	struct group_settings settings;
	int r;

	config_resolve(config, unit, cgroup_path, &settings);
	found = find_settings(config, &settings);
	if (found) {
		*ret = found;
		return 0;
	}

	r = keep_settings(config, &settings);
	if (r < 0)
		return r;

	*ret = config->settings[config->n_settings - 1];
	return 1;
}

static int each_of_scope(const struct scope *scope,
			 int (*f)(const struct config_item *, void *), void *userdata)
{
	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];
		const struct source *source = &scope->sources[i];
		char value[OPTION_TEXT_MAX];
		const struct config_item item = {
			.section = scope->title ? scope->title : row->section,
			.key = row->key,
			.value = option_get(row, &scope->values, value),
			.file = source->file,
			.line = source->line,
		};
		int r;

		if (scope->kind != SCOPE_ALL && !source->file)
			continue;

		r = f(&item, userdata);
		if (r != 0)
			return r;
	}

	return 0;
}

int config_each(const struct config *config, int (*f)(const struct config_item *, void *),
		void *userdata)
{
	for (int kind = SCOPE_ALL; kind < SCOPE_MAX_; kind++)
		for (size_t i = 0; i < config->n_scopes; i++) {
			int r;

			if ((int)config->scopes[i]->kind != kind)
				continue;

			r = each_of_scope(config->scopes[i], f, userdata);
			if (r != 0)
				return r;
		}

	return 0;
}

size_t config_n_files(const struct config *config)
{
	return config->n_read;
}
