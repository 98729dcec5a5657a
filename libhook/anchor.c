/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <sys/uio.h>

#include "libhook/anchor.h"
#include "libhook/life.h"
#include "libhook/mem.h"

/* glibc's HEAP_MAX_SIZE on 64-bit systems. Where it is another, places are told apart worse. */
#define HEAP_ALIGN ((uintptr_t)64 << 20)

/* Low bits of the size word in front of every block of glibc's. */
#define AFTER_USED 1U
#define IS_MAPPING 2U
#define IS_NON_MAIN 4U

#define PLACE_MAIN ((uintptr_t)1)

_Static_assert(sizeof(struct anchor_block) <= ANCHOR_BYTES, "no more than was asked for");

static struct anchor {
	uintptr_t place; /* atomic; 0: free. Set once, never changed */
	struct anchor_block *blocks; /* atomic; NULL: taken, or lost */
} anchors[ANCHORS_MAX];

static unsigned int n_anchors; /* atomic */

static uintptr_t size_word(const void *block)
{
	uintptr_t word = (uintptr_t)block - sizeof(uintptr_t);

	/* The compiler knows malloc(), and that nothing of ours lies in front of a block. */
	__asm__("" : "+r"(word));
	return __atomic_load_n((const uintptr_t *)word, __ATOMIC_RELAXED);
}

size_t anchor_bytes(const void *block)
{
	return size_word(block) & ~(size_t)7;
}

bool anchor_is_mapping(const void *block)
{
	return (size_word(block) & IS_MAPPING) != 0;
}

/*
 * Behind a block of an arena there is always another chunk, free, in use, the top or a fence,
 * and while the block is ours that border does not move. What is left of a hole is split off
 * from 32 bytes on, else the block is larger than was asked for.
 */
size_t anchor_hole(const void *block, size_t bytes)
{
	const size_t own = anchor_bytes(block), least = (bytes + sizeof(size_t) + 15) & ~(size_t)15;

	return own == least ? own + anchor_bytes((const char *)block + own) : own;
}

/* Through the kernel: where our idea of a heap is wrong it fails, and does not crash. */
static bool read_word(uintptr_t at, uintptr_t *ret)
{
	const struct iovec to = { .iov_base = ret, .iov_len = sizeof(*ret) };
	const struct iovec from = { .iov_base = (void *)at, .iov_len = sizeof(*ret) };

	return SYS(SYS_process_vm_readv, sys_getpid(), &to, 1UL, &from, 1UL, 0UL) ==
	       (long)sizeof(*ret);
}

/* The chunk behind that one tells; behind the top there may be none, nor any memory. */
bool anchor_is_cut(const void *block)
{
	const char *next = (const char *)block + anchor_bytes(block);
	uintptr_t word;

	return !read_word((uintptr_t)next + anchor_bytes(next) - sizeof(word), &word) ||
	       !(word & AFTER_USED);
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

	bytes = anchor_bytes(block);
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
	       (__atomic_load_n(&life.taken, __ATOMIC_ACQUIRE) != anchor ||
		__atomic_load_n(&life.taker, __ATOMIC_ACQUIRE) != life_id());
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

bool anchor_is_at(uintptr_t place)
{
	for (unsigned int i = 0; i < ANCHORS_MAX; i++) {
		const uintptr_t there = __atomic_load_n(&anchors[i].place, __ATOMIC_ACQUIRE);

		if (there == place || there == 0)
			return there != 0;
	}

	return false;
}

/* A heap begins with where its arena is: in itself, or in a heap that begins with the same. */
static bool begins_as_heap(uintptr_t place)
{
	uintptr_t arena, same;

	return read_word(place, &arena) && (arena & (HEAP_ALIGN - 1)) < 4096 &&
	       read_word(arena & ~(HEAP_ALIGN - 1), &same) && same == arena;
}

bool anchor_is_no_heap(uintptr_t place)
{
	unsigned char resident = 0;

	/* To read what is not there would be an event of the program's userfaultfd, or take memory. */
	if (anchor_is_at(place) || sys_mincore(place, 1, &resident) < 0 || !(resident & 1) ||
	    begins_as_heap(place))
		return false;

	/* Those with an anchor are heaps: if none begins so, no heap does. */
	for (unsigned int i = 0; i < anchor_count(); i++) {
		const uintptr_t heap = __atomic_load_n(&anchors[i].place, __ATOMIC_ACQUIRE);

		if (heap > PLACE_MAIN && begins_as_heap(heap))
			return true;
	}

	return false;
}

unsigned int anchor_count(void)
{
	const unsigned int n = __atomic_load_n(&n_anchors, __ATOMIC_ACQUIRE);

	return n < ANCHORS_MAX ? n : ANCHORS_MAX;
}

/* The kernel writes there which signals are blocked; nothing is changed. */
static bool may_write(uint64_t *word)
{
	return SYS(SYS_rt_sigprocmask, (long)SIG_BLOCK, NULL, word, sizeof(*word)) != -EFAULT;
}

bool anchor_may_write(void)
{
	for (unsigned int i = 0; i < anchor_count(); i++) {
		struct anchor_block *block = __atomic_load_n(&anchors[i].blocks, __ATOMIC_ACQUIRE);

		if (block && !may_write(&block->scratch))
			return false;
	}

	return true;
}

struct anchor_block *anchor_take(unsigned int i)
{
	struct anchor_block *blocks;

	__atomic_store_n(&life.taker, life_id(), __ATOMIC_RELEASE);
	__atomic_store_n(&life.taken, &anchors[i], __ATOMIC_RELEASE);
	blocks = __atomic_exchange_n(&anchors[i].blocks, NULL, __ATOMIC_ACQ_REL);
	if (!blocks)
		__atomic_store_n(&life.taken, NULL, __ATOMIC_RELEASE);

	return blocks;
}

void anchor_put(unsigned int i, struct anchor_block *blocks)
{
	/* One that looked before they were taken may have left others: rare, and few. */
	if (blocks)
		discard(__atomic_exchange_n(&anchors[i].blocks, blocks, __ATOMIC_ACQ_REL));
	__atomic_store_n(&life.taken, NULL, __ATOMIC_RELEASE);
}

uintptr_t anchor_arena(unsigned int i)
{
	const uintptr_t place = __atomic_load_n(&anchors[i].place, __ATOMIC_ACQUIRE);
	uintptr_t arena;

	if (place <= PLACE_MAIN)
		return place;

	return read_word(place, &arena) ? arena : 0;
}
