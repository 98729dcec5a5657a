/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One file to sections, pairs and faults, each with its line. Knows no option.
 *
 * inih splits the pairs. As packaged it cuts lines at 199 bytes, section names at 49 and
 * at the first "]", joins indented lines to the one before, takes ":" for "=" and drops
 * what follows " ;", all without a word and differently from build to build; so every
 * line is looked at here first, and inih sees only those it cannot misread.
 */

#include <stddef.h>

#define LINES_LENGTH_MAX 190
#define LINES_MESSAGE_MAX 1024

struct lines_handler {
	void (*edit)(char *text, size_t n); /* of the whole file, before anything else; or NULL */
	void (*on_section)(const char *title, unsigned int line, void *userdata);
	void (*on_pair)(const char *key, const char *value, unsigned int line,
			void *userdata);
	void (*on_fault)(const char *text, unsigned int line, void *userdata);
};

/*
 * Strings are valid UTF-8 without control characters, trimmed, and last for the call.
 * @path begins with @root, in which links are followed; "": the host's.
 * 0, also with faults; or a negative errno: the file was not read, nothing was called. -ESPIPE: it
 * is a pipe, for whose writer nobody waits.
 */
int lines_read(const char *root, const char *path, const struct lines_handler *handler, void *userdata);
