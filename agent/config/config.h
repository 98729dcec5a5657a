/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * memguard.conf, its drop-ins and those of units to settings: parse all, then hand over; a bad file
 * gives nothing but messages. Order as systemd-analyze cat-config memguard/memguard.conf
 * shows, then [X-Memguard] of units' own drop-ins, which is the unit's [Service NAME].
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/model/settings.h"

struct config;

/* One finding while reading: "FILE:LINE: what; what to do". */
typedef void (*config_message_t)(const char *file, unsigned int line, const char *text,
				 void *userdata);

/*
 * Findings come in the order of the files; line 0 is about a file as a whole.
 * @file: this one file and no drop-ins (--config=); NULL: the system's. @root: prefix for
 * the system's directories ("" or a scratch tree in tests). @user: units are those of the caller's own
 * service manager, not the system's. A @file in a unit's NAME.service.d is read as one of that.
 * 0; -EINVAL when any file had an error (each was told to @message); other errno when a
 * file could not be read (told too). A missing @file is an error, missing system files
 * are not. What is no file there, as a link to nothing, is told behind all others, also with 0.
 */
int config_load(const char *file, const char *root, bool user, config_message_t message,
		void *userdata, struct config **ret);
/* Compiled-in defaults only. */
int config_defaults(struct config **ret);
struct config *config_free(struct config *config);
void config_freep(struct config **config);

/*
 * Defaults, then [Cgroup PATTERN] overrides in file order, then [Service NAME@] ones,
 * which are for all instances, then [Service NAME] ones, each with what drop-ins of that name say
 * last. @unit may be NULL.
 */
void config_resolve(const struct config *config, const char *unit,
		    const char *cgroup_path, struct group_settings *ret);

/*
 * The same for good: one for all groups to which the same applies, until config_free(). 1: nobody
 * asked for these before. -ENOMEM, but not for what was asked for before.
 */
int config_settings(struct config *config, const char *unit, const char *cgroup_path,
		    const struct group_settings **ret);

/*
 * True when overrides that meet for this group contradict each other, and which: in @buf a
 * sentence with their places. They were made to agree.
 */
bool config_clash(const struct config *config, const char *unit, const char *cgroup_path,
		  char *buf, size_t size);

/* One option in the file's own syntax. file is NULL for a compiled-in default. */
struct config_item {
	const char *section; /* "Trigger", or "Service nginx.service" for an override */
	const char *key;
	const char *value;
	const char *file; /* also where it was reset by an empty value */
	unsigned int line;
};
/*
 * In table order, overrides after the defaults. Items last for the call. Stops at a
 * non-zero return and gives it back.
 */
int config_each(const struct config *config, int (*f)(const struct config_item *, void *),
		void *userdata);

/* Number of files read; of units' drop-ins those that have a section for us. */
size_t config_n_files(const struct config *config);
