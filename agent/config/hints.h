/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What to say about a section or key that does not exist: what was probably meant. */

#include <stddef.h>

/* @title: without brackets. */
void hint_section(const char *title, char *buf, size_t size);

/* @section: the plain section that @key stands in; NULL: an override. */
void hint_key(const char *section, const char *key, char *buf, size_t size);

/* @key stands in front of all sections. */
void hint_no_section(const char *key, char *buf, size_t size);
