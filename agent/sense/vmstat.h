/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How much memory the machine has handed out since it started: no group can have grown by
 * more than what this did, so that one file tells of all groups that they need no reading.
 */

#include <stdint.h>

/* The descriptor, or negative where the kernel does not count. */
int vmstat_open(void);

/* In bytes. -ENODATA: not counted here. */
int vmstat_read_allocated(int fd, uint64_t *ret_bytes);

/* The same of the text of /proc/vmstat, which may be cut behind the counters. */
int vmstat_parse_allocated(const char *text, uint64_t page_bytes, uint64_t *ret_bytes);
