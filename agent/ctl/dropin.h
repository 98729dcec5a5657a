/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The drop-in that puts the hook into a service: its place, its text, and the list of
 * libraries in it. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#define DROPIN_FILE "50-memguard.conf"

/* systemd's own limit for a unit's name, terminated. */
#define DROPIN_UNIT_MAX 256

enum dropin_name {
	DROPIN_NAME_OK = 0,
	DROPIN_NAME_BAD, /* no name of any unit */
	DROPIN_NAME_TEMPLATE, /* "x@.service": only its instances run */
	DROPIN_NAME_KIND, /* a unit, but not a service */
};

/* "nginx" means nginx.service, as in systemctl. */
enum dropin_name dropin_unit(const char *name, char ret_unit[static DROPIN_UNIT_MAX]);

/* Can it be in a list of libraries? Absolute, no blanks, no colons. */
bool dropin_is_hook(const char *path);

/*
 * LD_PRELOAD= with @hook in it: the libraries of @existing (NULL: none) in their order,
 * without repetitions and without other copies of the hook, then @hook. malloc'ed.
 */
int dropin_preload(const char *existing, const char *hook, char **ret);

/*
 * The same with @allocator in front ("": none) and without other allocators' libraries of
 * @existing, which would otherwise serve malloc() in its place.
 */
int dropin_preload_allocator(const char *existing, const char *allocator, const char *hook,
			     char **ret);

/* Is the hook, or another copy of it, in this value of LD_PRELOAD? */
bool dropin_has_hook(const char *list, const char *hook);

/* The value of @name in one assignment "NAME=VALUE", or NULL. */
const char *dropin_value(const char *assignment, const char *name);

/*
 * The file's text; @symbols is the value of MEMGUARD_SYMBOLS, or NULL. A user's own service
 * is pointed to the user's own daemon. malloc'ed.
 */
int dropin_text(const char *unit, bool user, const char *preload, const char *symbols,
		char **ret);

/* ROOT/etc/systemd/system/UNIT.d; @root may be NULL. malloc'ed. */
int dropin_directory(const char *root, const char *unit, char **ret);

/*
 * The same for the services of the user with these two variables; -ENOTDIR when neither is an
 * absolute path.
 */
int dropin_directory_user(const char *xdg_config_home, const char *home, const char *unit,
			  char **ret);
