/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <sys/uio.h>

#include "libhook/anchor.h"
#include "libhook/mem.h"

/* glibc's HEAP_MAX_SIZE on 64-bit systems. Where it is another, places are told apart worse. */
#define HEAP_ALIGN ((uintptr_t)64 << 20)

/* Low bits of the size word in front of every block of glibc's. */
#define IS_MAPPING 2U
#define IS_NON_MAIN 4U

#define PLACE_MAIN ((uintptr_t)1)

static struct anchor {
	uintptr_t place; /* atomic; 0: free. Set once, never changed */
	struct anchor_block *blocks; /* atomic; NULL: taken, or lost */
} anchors[ANCHORS_MAX];

static unsigned int n_anchors; /* atomic */

/* Whose blocks are taken, and in which process. */
static const struct anchor *taken; /* atomic */
static int taker; /* atomic */

static uintptr_t size_word(const void *block)
{
	uintptr_t word = (uintptr_t)block - sizeof(uintptr_t);

	/* The compiler knows malloc(), and that nothing of ours lies in front of a block. */
	__asm__("" : "+r"(word));
	return *(const uintptr_t *)word;
}

bool anchor_is_mapping(const void *block)
{
	return (size_word(block) & IS_MAPPING) != 0;
}

uintptr_t anchor_place(const void *block)
{
	return size_word(block) & IS_NON_MAIN ? (uintptr_t)block & ~(HEAP_ALIGN - 1) : PLACE_MAIN;
}

/*
 * Whoever looks from outside can err about whose malloc() this is (allocator.c). glibc's
 * smallest block says so itself: its size word is one of two. Nobody's word is read that
 * lies on another page than the block, which might not be there.
 */
static bool is_glibc_block(const void *block)
{
	uintptr_t bytes;

	if (((uintptr_t)block & 4095) == 0)
		return false;

	bytes = size_word(block) & ~(uintptr_t)7;
	return (bytes == 32 || bytes == 48) && !anchor_is_mapping(block);
}

/* The anchor at @place, which is made when there is none; NULL when the table is full. */
static struct anchor *find(uintptr_t place)
{
	for (unsigned int i = 0; i < ANCHORS_MAX; i++) {
		uintptr_t there = __atomic_load_n(&anchors[i].place, __ATOMIC_ACQUIRE);

		if (there == 0 && __atomic_compare_exchange_n(&anchors[i].place, &there, place, false,
							      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			(void)__atomic_add_fetch(&n_anchors, 1, __ATOMIC_ACQ_REL);
			return &anchors[i];
		}
		if (there == place)
			return &anchors[i];
	}

	return NULL;
}

/* All of one place, so that the list belongs to one anchor. */
static struct anchor_block *add_blocks(struct anchor_block *first, unsigned int n)
{
	const uintptr_t place = anchor_place(first);
	struct anchor_block *list = first;

	while (n-- > 0) {
		struct anchor_block *block = malloc(ANCHOR_BYTES);

		if (!block)
			break;
		block->next = list;
		if (!is_glibc_block(block) || anchor_place(block) != place) {
			free(block);
			break;
		}
		list = block;
	}

	return list;
}

static void discard(struct anchor_block *list)
{
	while (list) {
		struct anchor_block *next = list->next;

		free(list);
		list = next;
	}
}

/*
 * Taken blocks come back, in this process: to replace them would leak as many with every
 * release in which a thread starts. In the child of a fork they do not.
 */
static bool needs_blocks(const struct anchor *anchor)
{
	return !__atomic_load_n(&anchor->blocks, __ATOMIC_ACQUIRE) &&
	       (__atomic_load_n(&taken, __ATOMIC_ACQUIRE) != anchor ||
		__atomic_load_n(&taker, __ATOMIC_ACQUIRE) != sys_getpid());
}

void anchor_drop(unsigned int n_blocks)
{
	struct anchor_block *first = malloc(ANCHOR_BYTES), *none = NULL;
	struct anchor *anchor;

	if (!first)
		return;

	first->next = NULL;
	anchor = is_glibc_block(first) ? find(anchor_place(first)) : NULL;
	if (!anchor || !needs_blocks(anchor)) {
		free(first);
		return;
	}

	first = add_blocks(first, n_blocks - 1);
	/* Or another thread of this arena was faster. */
	if (!__atomic_compare_exchange_n(&anchor->blocks, &none, first, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		discard(first);
}

unsigned int anchor_count(void)
{
	const unsigned int n = __atomic_load_n(&n_anchors, __ATOMIC_ACQUIRE);

	return n < ANCHORS_MAX ? n : ANCHORS_MAX;
}

struct anchor_block *anchor_take(unsigned int i)
{
	struct anchor_block *blocks;

	__atomic_store_n(&taker, sys_getpid(), __ATOMIC_RELEASE);
	__atomic_store_n(&taken, &anchors[i], __ATOMIC_RELEASE);
	blocks = __atomic_exchange_n(&anchors[i].blocks, NULL, __ATOMIC_ACQ_REL);
	if (!blocks)
		__atomic_store_n(&taken, NULL, __ATOMIC_RELEASE);

	return blocks;
}

void anchor_put(unsigned int i, struct anchor_block *blocks)
{
	/* One that looked before they were taken may have left others: rare, and few. */
	if (blocks)
		discard(__atomic_exchange_n(&anchors[i].blocks, blocks, __ATOMIC_ACQ_REL));
	__atomic_store_n(&taken, NULL, __ATOMIC_RELEASE);
}

uintptr_t anchor_arena(unsigned int i)
{
	const uintptr_t place = __atomic_load_n(&anchors[i].place, __ATOMIC_ACQUIRE);
	uintptr_t arena = 0;
	const struct iovec to = { .iov_base = &arena, .iov_len = sizeof(arena) };
	const struct iovec from = { .iov_base = (void *)place, .iov_len = sizeof(arena) };

	if (place <= PLACE_MAIN)
		return place;

	/* Through the kernel: where our idea of a heap is wrong it fails, and does not crash. */
	if (SYS(SYS_process_vm_readv, sys_getpid(), &to, 1UL, &from, 1UL, 0UL) != (long)sizeof(arena))
		return 0;

	return arena;
}
