/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `memguardctl run`: supervises one command with the stages of the daemon, in-process.
 * Needs no daemon and no root, and may be PID 1 of a container.
 */

#include <stdbool.h>
#include <stdint.h>

struct run_options {
	const char *runtime_directory; /* NULL: a temporary one, removed at the end */
	const char *config_file;       /* NULL: the system's files */
	const char *cgroup_root;       /* NULL: find it */
	const char *hook;              /* library to preload */
	uint64_t limit_bytes;          /* or infinity: the limit that is there already, if any */
	bool verbose;                  /* tell every round as it happens */
};

/*
 * Runs @command (NULL-terminated). Returns what the shell would: its exit status, 128 + signal,
 * 126 or 127 where it cannot be started, 1 where we cannot.
 */
int run_command(const struct run_options *options, char *const command[]);
