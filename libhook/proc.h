/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel says about this process. Small fixed buffers, one short-lived descriptor. */

#include <stdint.h>

/* The agent's thread, with its own table of descriptors: what is read often. */
void proc_keep_open(void);

/* The main thread has called pthread_exit(), and the process lives on without it. */
int proc_leader_ended(void);

/*
 * "Seccomp:" of the main thread (0 none, 1 strict, 2 filter), or of whose status @fd is, read
 * from where @fd stands by nothing but read(). -ENODATA: the kernel knows no filters.
 */
int proc_leader_seccomp(void);
int proc_seccomp(int fd);

/* Resident set in bytes; 0 when unknown. */
uint64_t proc_rss(uint64_t page_bytes);

/*
 * RSS of the mappings that hold glibc arenas: the break's "[heap]" and what begins on a
 * 64-MiB boundary, where thread arenas begin. @ret_huge: of it in huge pages.
 * @ret_hollow: what is not resident at the ends of thread arenas' heaps, where tops are. Walks the page tables: not for every second.
 */
uint64_t proc_heap_rss(uint64_t *ret_huge, uint64_t *ret_hollow);

/* Feeds @size bytes of smaps text to a scan; used by proc_heap_rss() and its test. Pure. */
struct proc_smaps {
	char line[256];
	uint32_t length;
	uint64_t expected;   /* end of the last arena part: the next part continues there */
	int in_heap;         /* the mapping being described is a heap */
	uint64_t heap_rss;
	uint64_t heap_huge;
	uint64_t begin, size; /* of the part of a thread arena being described; size 0: is none */
	uint64_t tail;        /* what is not resident at the end of the heap so far */
	uint64_t hollow;      /* sum of these over all heaps before it */
	/* Tells how much is not resident at the end of a mapping; NULL: never mind. */
	uint64_t (*tail_of)(uint64_t begin, uint64_t size);
};
void proc_smaps_feed(struct proc_smaps *scan, const char *text, uint32_t size);
