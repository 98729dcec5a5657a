/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One small block of our own in every arena of glibc's heap that a thread of the program
 * has used: whoever calls realloc() on it gets memory of that arena (borrow.h).
 *
 * An arena is told by where its blocks lie: blocks of the main arena say so in their size
 * word, all others lie in heaps that begin on a 64-MiB boundary. An arena with several
 * heaps may have an anchor in each; anchor_arena() tells which belong together. Nothing
 * but our own blocks, the size word behind them and, through the kernel, the one behind that
 * and the first word of a heap is ever read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an anchor's blocks ask for: the smallest there is. */
#define ANCHOR_BYTES 24

/* Arenas are at most 8 for each CPU. Beyond these none gets an anchor. */
#define ANCHORS_MAX 512

/* An anchor's blocks, in a list that runs through them. */
struct anchor_block {
	struct anchor_block *next;
	uint64_t scratch; /* for anchor_may_write() */
};

/* Leaves an anchor of @n_blocks in the arena of the calling thread, unless one is there. */
void anchor_drop(unsigned int n_blocks);

/* Is @place the beginning of a heap that has an anchor, which glibc then keeps for ever? */
bool anchor_is_at(uintptr_t place);

/*
 * Does what lies at @place, which can be read, begin otherwise than heaps do? False where that is
 * not told: none with an anchor begins as we know it, or @place is not resident.
 */
bool anchor_is_no_heap(uintptr_t place);

/* Anchors are numbered from 0. */
unsigned int anchor_count(void);

/*
 * May this thread write to the heaps now, as far as the anchors in them tell? A program may have
 * write-protected them, or closed a protection key that only threads of its own open. Tried by
 * the kernel, which then says so, where a write of ours would end the program. On the thread
 * that takes them.
 */
bool anchor_may_write(void);

/*
 * Takes all blocks out of the table: nobody else has them until anchor_put(). One thread,
 * one anchor at a time. NULL: none is left (a fork in the middle of a release loses them,
 * until a thread starts there).
 */
struct anchor_block *anchor_take(unsigned int i);
void anchor_put(unsigned int i, struct anchor_block *blocks);

/* The same number for all anchors of one arena; 0 when it cannot be told. */
uintptr_t anchor_arena(unsigned int i);

/* Of any block: where its arena keeps it. 1: the main arena; else the heap's beginning. */
uintptr_t anchor_place(const void *block);

/* Has a mapping of its own: belongs to no arena. */
bool anchor_is_mapping(const void *block);

/* To what begins behind it, as glibc counts. */
size_t anchor_bytes(const void *block);

/*
 * How large the hole was that @block, for which @bytes were asked, came from. A guess, good
 * for what to ask for next: what lies behind may have been in use, or have changed since.
 */
size_t anchor_hole(const void *block, size_t bytes);

/* Is what begins behind @block free, as what is left of a hole? */
bool anchor_is_cut(const void *block);
