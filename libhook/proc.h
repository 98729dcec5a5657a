/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel says about this process. Small fixed buffers, one short-lived descriptor. */

#include <stdbool.h>
#include <stdint.h>

/*
 * The agent's thread, with its own table of descriptors: what is read often. False: a security
 * module forbids that or the heaps' mappings, and logs each try.
 */
bool proc_keep_open(void);

/*
 * Asked, by nothing but read(), after reading that may take long, and before any other call: false
 * leaves what is open as it is. NULL, as at first: nobody is asked.
 */
void proc_set_guard(bool (*may_call)(void *arg), void *arg);

/* The main thread has called pthread_exit(), and the process lives on without it. */
int proc_leader_ended(void);

/*
 * "Seccomp:" of the main thread (0 none, 1 strict, 2 filter), or of whose status @fd is, read
 * from where @fd stands by nothing but read(). -ENODATA: the kernel knows no filters.
 */
int proc_leader_seccomp(void);
int proc_seccomp(int fd);

/*
 * How often the thread whose status @fd is went to sleep, and was woken again; read from the beginning,
 * where @fd stands then, too. 0 when unknown.
 */
uint64_t proc_sleeps(int fd);

/* All users there are have a number of their own here: this is the first user namespace. */
bool proc_knows_users(void);

/* Resident set in bytes; 0 when unknown. */
uint64_t proc_rss(uint64_t page_bytes);

/* Swapped out, and locked in memory, in bytes; 0 when unknown. */
uint64_t proc_swapped(void);
uint64_t proc_locked(void);

/* To be called before the next. False: the process may not, as one that is not dumpable. */
bool proc_open_pages(void);

/* Of @n_pages pages from page number @begin on, how many are swapped out; 0 when unknown. */
uint64_t proc_swapped_pages(uint64_t begin, uint64_t n_pages);

/*
 * False where that cannot be read.
 * @ret: RSS of the mappings that hold glibc arenas: the break's "[heap]" and what begins on a
 * 64-MiB boundary, where thread arenas begin, as they do, or has a heap with an anchor in it.
 * @ret_huge: of it in huge pages.
 * @ret_hollow: what is not resident at the ends of thread arenas' heaps, where tops are.
 * @ret_swap: swapped out. Walks the page tables: not for every second.
 */
bool proc_heap_rss(uint64_t *ret, uint64_t *ret_huge, uint64_t *ret_hollow, uint64_t *ret_swap);

/* Calls @f with each of these mappings. Cheap: walks none of them. */
void proc_each_heap(void (*f)(uint64_t begin, uint64_t end, void *arg), void *arg);

/* Feeds @size bytes of smaps text to a scan; used by proc_heap_rss() and its test. Pure. */
struct proc_smaps {
	char line[256];
	uint32_t length;
	uint64_t expected;   /* end of the last arena part: the next part continues there */
	int in_heap;         /* the mapping being described is a heap */
	uint64_t heap_rss;
	uint64_t heap_huge;
	uint64_t heap_swap;
	uint64_t begin, size; /* of the part of a thread arena being described; size 0: is none */
	int joined;           /* the mapping begins before it, with what is no heap */
	uint64_t tail;        /* what is not resident at the end of the heap so far */
	uint64_t hollow;      /* sum of these over all heaps before it */
	/* Is there a heap that begins within a mapping, as far as is known? NULL: none. */
	bool (*begins_at)(uintptr_t address);
	/* Is what lies where one could begin known to be none? NULL: never. */
	bool (*is_no_heap)(uintptr_t address);
	/* Tells how much of it is resident, and of its end is not; NULL: never mind. */
	uint64_t (*resident_of)(uint64_t begin, uint64_t size);
	uint64_t (*tail_of)(uint64_t begin, uint64_t size);
	/* Is told each heap mapping; NULL: never mind. Then the text may be that of maps. */
	void (*heap_at)(uint64_t begin, uint64_t end, void *arg);
	void *arg;
};
void proc_smaps_feed(struct proc_smaps *scan, const char *text, uint32_t size);
