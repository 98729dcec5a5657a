/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Allocators that can be preloaded in place of glibc's, and where this machine has them. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* "jemalloc", "mimalloc", "tcmalloc"; "glibc" is the one that needs no library. */
bool allocator_is_known(const char *name);
bool allocator_is_glibc(const char *name);

/* Debian's package of it. */
const char *allocator_package(const char *name);

/*
 * The library, for a program that can load @like too (a library of the same machine and
 * word size; NULL: whichever is found). Looked for below @root, or NULL; the path does not
 * begin with it. -ENOENT: it is not installed, -EINVAL: no such allocator.
 */
int allocator_find(const char *root, const char *name, const char *like,
		   char ret[static PATH_MAX]);

/* Is the entry of @n characters in a list of preloads one of these, in any version? */
bool allocator_is_library(const char *entry, size_t n);
