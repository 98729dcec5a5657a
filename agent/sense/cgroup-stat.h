/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The texts of the memory controller's files, v1 and v2, to numbers. Pure: no files.
 * All take terminated text and return 0 or -EINVAL; outputs are untouched on failure.
 */

#include <stdint.h>

#include "agent/basic/macro.h"
#include "agent/model/group.h"

/* What memory.stat says about a whole subtree. */
struct cgroup_stat {
	uint64_t droppable_bytes; /* file cache, v2 also slab: goes before any kill */
	uint64_t held_bytes;      /* freed parts of huge pages; 0 where that cannot be told */
	uint64_t limit_bytes;     /* v1: minimum over ancestors; or infinity */
	uint64_t n_collapses;     /* v2: huge pages made of small ones, ever */
	uint64_t n_faults;        /* page faults, ever; 0 where the kernel does not say */
};

int cgroup_stat_parse(const char *text, enum group_kind kind, struct cgroup_stat *ret);

/* The same by kind; a page is in one of them, but that shared memory and what is on lists are of @file. */
struct cgroup_kinds {
	uint64_t anon_bytes; /* mapped */
	uint64_t file_bytes;
	uint64_t shmem_bytes;
	uint64_t listed_bytes;     /* file cache that can be dropped */
	uint64_t swapcached_bytes; /* 0 where the kernel does not say */
};

int cgroup_stat_parse_kinds(const char *text, enum group_kind kind, struct cgroup_kinds *ret);

/* memory.max or memory.limit_in_bytes; "max" and the page counter's ceiling: infinity. */
int cgroup_stat_parse_limit(const char *text, uint64_t *ret_bytes);

/* One plain number: memory.current, memory.usage_in_bytes, memory.failcnt. */
int cgroup_stat_parse_number(const char *text, uint64_t *ret);

/* v2 memory.events and its .local. Kernels before 4.13 count no oom_kill: 0. */
int cgroup_stat_parse_events(const char *text, uint64_t *ret_max, uint64_t *ret_oom,
			     uint64_t *ret_oom_kill);

/* v1 memory.oom_control; 0 before 4.13 here too. */
int cgroup_stat_parse_oom_control(const char *text, uint64_t *ret_oom_kill);

/* Is @controller one of the words of cgroup.controllers? */
bool cgroup_stat_has_controller(const char *text, const char *controller);
