/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Texts of /proc that may be of any length (a status with thousands of groups),
 * read line by line through a buffer of fixed size.
 */

#include <stdint.h>

#include "agent/basic/macro.h"

/* Looks at one line, without its newline. 0 goes on, any other value ends the scan. */
typedef int (*proc_text_line_t)(const char *line, void *userdata);

/*
 * The lines of @fd from its position on, until @on_line ends it or the text does: then 0,
 * or a negative errno. Lines of 8 KiB and more are left out, none that matters is.
 */
int proc_text_scan(int fd, proc_text_line_t on_line, void *userdata);

/* "Seccomp:" of a status line to @userdata, an int. 1, 0 for another line, -EINVAL. */
int proc_text_seccomp(const char *line, void *userdata);

/*
 * "NSpid:" of a status line to @userdata, an int: how many numbers the process has, one in each
 * pid namespace from ours down. 1, 0 for another line, -EINVAL.
 */
int proc_text_pid_depth(const char *line, void *userdata);

/* Of /proc/PID/stat; times in ticks. */
struct proc_stat {
	char command[16]; /* comm, which may hold anything, cut to fit */
	char state;
	bool exiting; /* in the kernel, on its way out */
	uint64_t n_faults;  /* minor ones, of all threads, ever */
	uint64_t cpu_ticks; /* user and system */
	uint64_t n_threads;
	uint64_t start_ticks;
};

/* -EINVAL: no such text. */
int proc_text_stat(const char *text, struct proc_stat *ret);

/* Of /proc/PID/status; 0 where the kernel has no such line, as of a zombie. */
struct proc_status {
	uint64_t tgid;
	uint64_t euid;
	uint64_t rss_kib;
	uint64_t anon_kib;
	uint64_t shmem_kib;
	uint64_t swap_kib;
	uint64_t seccomp; /* of one thread; 0 none, 1 strict, 2 filter */
};

/* A line of status to @userdata, a struct proc_status. 0, or -EINVAL. */
int proc_text_status(const char *line, void *userdata);
