/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of units and groups, as people type them. */

#include <stdbool.h>
#include <stddef.h>

/* True when @name ends like a unit; a dot alone is not enough: "php8.2-fpm". */
bool name_has_suffix(const char *name);

/*
 * As fnmatch(3), but a backslash stands for itself: there is one in each slice that systemd makes for the
 * instances of a unit with a dash in its name, and whoever has copied it from there means it.
 */
bool name_matches(const char *pattern, const char *path);

/*
 * As a shell takes it for one word: in single quotes where it must be. Returns @buf, cut at @size
 * (above 2), and then not cut within a quote.
 */
char *name_quote(const char *name, char *buf, size_t size);

/*
 * The group's path in @name, when that begins where hierarchies are mounted, as completion makes it;
 * else @name. @unified: the hierarchy is mounted there itself, else each of them one below.
 */
#define NAME_MOUNT "/sys/fs/cgroup"
const char *name_in_hierarchy(const char *name, bool unified);

/*
 * Letters to type anew, two that changed places being one, case aside; SIZE_MAX for names too
 * long to be ours.
 */
size_t name_distance(const char *a, const char *b);
/* A third of the letters may differ; beyond that a guess misleads. */
bool name_is_near(size_t distance, const char *name);

/* Enough for each unit's name, and for a path that fits a line. */
#define NAME_QUOTED_MAX 288
