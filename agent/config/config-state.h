/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of struct config, shared by config.c and load.c. */

#include <stdbool.h>

#include "agent/config/config.h"
#include "agent/config/files.h"
#include "agent/config/options.h"

/* Where a value was written. The path belongs to config->files. */
struct source {
	const char *file;   /* NULL: nowhere */
	unsigned int line;
	unsigned int order; /* among all that were written, from 1 */
	bool bad;           /* it was not taken */
};

/* In the order in which they are applied: what is named more exactly comes later. */
enum scope_kind {
	SCOPE_ALL,      /* the plain sections */
	SCOPE_CGROUP,   /* [Cgroup PATTERN] */
	SCOPE_TEMPLATE, /* [Service NAME@] */
	SCOPE_SERVICE,  /* [Service NAME] */
	SCOPE_MAX_,
};

/* The values of one override section in all files, or of all plain sections. */
struct scope {
	enum scope_kind kind;
	char *title;                  /* "Service nginx.service"; NULL: plain sections */
	const char *name;             /* in title: the unit or the pattern */
	struct source opened;         /* its last header */
	struct group_settings values; /* with a source; in the plain scope all */
	struct source *sources;       /* by option row */
};

struct config {
	struct files files;
	size_t n_read;
	struct scope **scopes; /* the plain one, then by first appearance */
	size_t n_scopes;
	struct group_settings **settings; /* that config_settings() gave out, each but once */
	size_t n_settings;
};

/* The scope of this kind and name, made if need be. @name is a unit's full name. */
int config_scope(struct config *config, enum scope_kind kind, const char *name,
		 struct scope **ret);

/* Puts what the scope sets over @settings. */
void config_apply(const struct scope *scope, struct group_settings *settings);

/* Is what the scope sets for this group? */
bool config_matches(const struct scope *scope, const char *unit, const char *cgroup_path);

/* As config_resolve(), contradictions left as they are. */
void config_lay(const struct config *config, const char *unit, const char *cgroup_path,
		struct group_settings *ret);
