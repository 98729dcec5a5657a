/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call of memguardctl: what was asked for, and where the answer goes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

/* Exit statuses. The third is the one that LSB gives `status` of a stopped service. */
enum ctl_exit {
	CTL_DONE = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NOT_RUNNING = 3,
};

enum output {
	OUTPUT_TEXT,
	OUTPUT_JSON_SHORT, /* on one line */
	OUTPUT_JSON_PRETTY, /* indented */
};

struct ctl {
	/* From the command line; all zero but legend and pager is a good default. */
	const char *runtime_directory; /* NULL: RUNTIME/bus where it usually is */
	bool user; /* that is the user's own daemon: the system's does not do */
	enum output json;
	bool legend; /* headings, hints */
	bool pager; /* may be used */
	const char *root; /* enable, disable: below this directory; or NULL */
	const char *method; /* trim: auto, full or borrow; NULL: as the settings say */
	const char *allocator; /* enable: to preload too; NULL: as the unit has it */
	const char *hook; /* enable: the library; NULL: as installed */

	/* Filled in by output_begin(). */
	FILE *out; /* verbs write here */
	char *text; /* what they wrote */
	size_t text_size;
	bool terminal; /* stdout is one */
	bool color;
	bool utf8;
	unsigned int width; /* of the terminal; 0: no limit */
	unsigned int height;

	sd_bus *bus; /* made by client at the first call */
};

/* Behind a command's name, where the reader is told what to type. */
static inline const char *ctl_user(const struct ctl *ctl)
{
	return ctl->user ? " --user" : "";
}
