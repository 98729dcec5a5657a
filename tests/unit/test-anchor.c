/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Anchors over an allocator made for this: arenas where the test wants them, and size words
 * that also a sanitizer lets be read.
 */

#include "libhook/sys.h"

#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define HEAP_BYTES ((uintptr_t)64 << 20)
#define HEAP_USED_BYTES ((size_t)256 << 10)
#define BLOCK_BYTES 32

#define FLAG_MAPPING 2U
#define FLAG_NON_MAIN 4U

/* Where the calling thread's blocks come from. */
struct fake_heap {
	unsigned char *begin;
	unsigned int flags;
	unsigned int n_used; /* atomic */
	struct block *spare; /* under the lock */
	pthread_mutex_t lock;
};

static __thread struct fake_heap *here;
static int n_out; /* blocks not given back; atomic */

struct block {
	struct block *next;
};

static void *fake_malloc(size_t size)
{
	struct fake_heap *heap = here;
	struct block *block;
	unsigned int n;

	if (size > BLOCK_BYTES - sizeof(uintptr_t) || !heap)
		return NULL;

	pthread_mutex_lock(&heap->lock);
	block = heap->spare;
	if (block)
		heap->spare = block->next;
	pthread_mutex_unlock(&heap->lock);
	if (!block) {
		n = __atomic_add_fetch(&heap->n_used, 1, __ATOMIC_RELAXED);
		if ((n + 1) * BLOCK_BYTES > HEAP_USED_BYTES)
			return NULL;
		block = (struct block *)(heap->begin + (size_t)n * BLOCK_BYTES);
		((uintptr_t *)block)[-1] = BLOCK_BYTES | 1 | heap->flags;
	}

	__atomic_add_fetch(&n_out, 1, __ATOMIC_RELAXED);
	return block;
}

/* As it does in glibc, the first word of a free block changes. */
static void fake_free(void *p, struct fake_heap *heap)
{
	struct block *block = p;

	__atomic_sub_fetch(&n_out, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&heap->lock);
	block->next = heap->spare;
	heap->spare = block;
	pthread_mutex_unlock(&heap->lock);
}

#define malloc(size) fake_malloc(size)
#define free(block) fake_free(block, here)
#include "libhook/anchor.c"
#undef malloc
#undef free

#include "tests/unit/test.h"

#define ARENAS 4
#define THREADS 8
#define ROUNDS 500

/* Of each arena one heap; the last two belong to one arena. The first is the main arena. */
static struct fake_heap heaps[ARENAS];
static unsigned char main_heap[HEAP_USED_BYTES] __attribute__((aligned(64)));

/* @n heaps side by side, of which only the first pages are there. */
static unsigned char *reserve(size_t n)
{
	unsigned char *p = mmap(NULL, (n + 1) * HEAP_BYTES, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : (unsigned char *)(((uintptr_t)p + HEAP_BYTES - 1) & ~(HEAP_BYTES - 1));
}

static void heap_init(struct fake_heap *heap, unsigned char *begin, unsigned int flags, uintptr_t arena)
{
	*heap = (struct fake_heap){ .begin = begin, .flags = flags, .lock = PTHREAD_MUTEX_INITIALIZER };
	if (flags & FLAG_NON_MAIN) {
		CHECK_EQ(mprotect(begin, HEAP_USED_BYTES, PROT_READ | PROT_WRITE), 0);
		*(uintptr_t *)begin = arena;
	}
}

static void begin_anew(void)
{
	static unsigned char *space;

	if (!space)
		space = reserve(ARENAS);
	CHECK(space);
	for (size_t i = 0; i < ANCHORS_MAX; i++)
		anchors[i] = (struct anchor){ .place = 0 };
	n_anchors = 0;
	life_prepare((uint32_t)sysconf(_SC_PAGESIZE));
	life.taken = NULL;
	n_out = 0;
	heap_init(&heaps[0], main_heap, 0, 0);
	for (size_t i = 1; i < ARENAS; i++)
		heap_init(&heaps[i], space + i * HEAP_BYTES, FLAG_NON_MAIN, i < ARENAS - 1 ? i * 4096 : (i - 1) * 4096);
}

static void drop_in(struct fake_heap *heap, unsigned int n_blocks)
{
	here = heap;
	anchor_drop(n_blocks);
}

static int count(const struct anchor_block *list)
{
	int n = 0;

	for (; list; list = list->next)
		n++;
	return n;
}

static void test_the_first_to_come_leaves_all_blocks(void)
{
	struct anchor_block *blocks;

	begin_anew();
	drop_in(&heaps[1], 3);
	CHECK_EQ(anchor_count(), 1);
	CHECK_EQ(n_out, 3);
	blocks = anchor_take(0);
	CHECK_EQ(count(blocks), 3);
	for (; blocks; blocks = blocks->next)
		CHECK_EQ(anchor_place(blocks), (uintptr_t)heaps[1].begin);
}

static void test_whoever_comes_later_leaves_nothing(void)
{
	begin_anew();
	for (int i = 0; i < 10; i++)
		drop_in(&heaps[1], 2);
	CHECK_EQ(anchor_count(), 1);
	CHECK_EQ(n_out, 2);
}

static void test_each_place_has_its_own(void)
{
	begin_anew();
	for (size_t i = 0; i < ARENAS; i++)
		drop_in(&heaps[i], 2);
	CHECK_EQ(anchor_count(), ARENAS);
	CHECK_EQ(anchor_arena(0), 1);
	CHECK_EQ(anchor_arena(1), 4096);
	CHECK_EQ(anchor_arena(2), 2 * 4096);
	CHECK_EQ(anchor_arena(3), anchor_arena(2));
}

static void test_what_is_no_heap_has_no_arena(void)
{
	begin_anew();
	drop_in(&heaps[1], 1);
	CHECK_EQ(mprotect(heaps[1].begin, 4096, PROT_NONE), 0);
	CHECK_EQ(anchor_arena(0), 0);
	CHECK_EQ(mprotect(heaps[1].begin, 4096, PROT_READ | PROT_WRITE), 0);
}

static void test_a_mapping_is_no_anchor(void)
{
	begin_anew();
	heaps[1].flags |= FLAG_MAPPING;
	drop_in(&heaps[1], 2);
	CHECK_EQ(anchor_count(), 0);
	CHECK_EQ(n_out, 0);
}

static void test_without_memory_there_is_none(void)
{
	begin_anew();
	drop_in(NULL, 2);
	CHECK_EQ(anchor_count(), 0);
}

static void test_what_was_taken_is_gone_until_it_is_put_back(void)
{
	struct anchor_block *blocks;

	begin_anew();
	drop_in(&heaps[1], 2);
	blocks = anchor_take(0);
	CHECK(blocks && !anchor_take(0));
	anchor_put(0, blocks);
	CHECK(anchor_take(0) == blocks);
}

static void test_the_next_to_come_replaces_what_was_lost(void)
{
	begin_anew();
	drop_in(&heaps[1], 2);
	(void)anchor_take(0);
	anchor_put(0, NULL);
	drop_in(&heaps[1], 2);
	CHECK_EQ(anchor_count(), 1);
	CHECK_EQ(count(anchor_take(0)), 2);
}

/* The agent that took them is not in the child. */
static void test_a_child_forked_in_the_middle_replaces_them(void)
{
	int status = -1;
	pid_t pid;

	begin_anew();
	drop_in(&heaps[1], 2);
	(void)anchor_take(0);
	pid = fork();
	if (pid == 0) {
		drop_in(&heaps[1], 2);
		_exit(count(anchor_take(0)) == 2 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A thread starts in the middle of a release, each time: that must not add up. */
static void test_what_was_replaced_meanwhile_does_not_leak(void)
{
	begin_anew();
	drop_in(&heaps[1], 2);
	for (int i = 0; i < 10; i++) {
		struct anchor_block *blocks = anchor_take(0);

		drop_in(&heaps[1], 2);
		anchor_put(0, blocks);
	}
	CHECK_EQ(n_out, 2);
	CHECK_EQ(count(anchor_take(0)), 2);
}

static void test_beyond_the_table_nothing_is_kept(void)
{
	static struct fake_heap many[ANCHORS_MAX + 2];
	unsigned char *space = reserve(ANCHORS_MAX + 2);

	begin_anew();
	if (!space) {
		printf("# no room for so many heaps\n");
		return;
	}
	for (size_t i = 0; i < ANCHORS_MAX + 2; i++) {
		heap_init(&many[i], space + i * HEAP_BYTES, FLAG_NON_MAIN, i);
		drop_in(&many[i], 1);
	}
	CHECK_EQ(anchor_count(), ANCHORS_MAX);
	CHECK_EQ(n_out, ANCHORS_MAX);
	munmap(space, (ANCHORS_MAX + 2) * HEAP_BYTES);
}

static void *drop_often(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		drop_in(&heaps[((uintptr_t)arg + (uintptr_t)i) % ARENAS], 2);
	return NULL;
}

/* Threads start everywhere while a release goes from anchor to anchor. */
static void test_starts_and_a_release_race(void)
{
	pthread_t threads[THREADS];
	int n = 0;

	begin_anew();
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, drop_often, (void *)i), 0);
	for (int round = 0; round < ROUNDS; round++)
		for (unsigned int i = 0; i < anchor_count(); i++) {
			struct anchor_block *blocks = anchor_take(i);

			/* What is freed here goes to the heap it came from. */
			for (size_t h = 0; blocks && h < ARENAS; h++)
				if (anchor_place(blocks) == (h ? (uintptr_t)heaps[h].begin : 1))
					here = &heaps[h];
			sched_yield();
			if (blocks)
				anchor_put(i, blocks);
		}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);

	CHECK_EQ(anchor_count(), ARENAS);
	for (unsigned int i = 0; i < ARENAS; i++)
		n += count(anchor_take(i));
	CHECK_EQ(n_out, n);
}

/* Size words: ours, of what was asked for; behind it one of 64 bytes, in use or not. */
static void test_a_hole_is_told_by_its_size_words(void)
{
	uintptr_t words[16] = { 0 };
	const void *block = &words[2];

	words[1] = 48 | 1;
	words[1 + 48 / 8] = 64 | 1;
	CHECK_EQ(anchor_bytes(block), 48);
	CHECK_EQ(anchor_hole(block, 24 + 16), 48 + 64);
	CHECK_EQ(anchor_hole(block, 25), 48 + 64);
	/* More than was asked for: all of it, and what is behind is somebody's. */
	CHECK_EQ(anchor_hole(block, 24), 48);
}

/* Whether that is free is told by the one behind it; there is none behind the top. */
static void test_what_is_left_of_a_hole_is_told_from_a_neighbour(void)
{
	uintptr_t words[16] = { 0 };
	const void *block = &words[2];

	words[1] = 48 | 1;
	words[1 + 48 / 8] = 64 | 1;
	words[1 + (48 + 64) / 8] = 32 | 1;
	CHECK(!anchor_is_cut(block));
	words[1 + (48 + 64) / 8] = 32;
	CHECK(anchor_is_cut(block));
	words[1 + 48 / 8] = ((uintptr_t)1 << 60) | 1;
	CHECK(anchor_is_cut(block));
}

int main(void)
{
	RUN(test_what_is_left_of_a_hole_is_told_from_a_neighbour);
	RUN(test_a_hole_is_told_by_its_size_words);
	RUN(test_the_first_to_come_leaves_all_blocks);
	RUN(test_whoever_comes_later_leaves_nothing);
	RUN(test_each_place_has_its_own);
	RUN(test_what_is_no_heap_has_no_arena);
	RUN(test_a_mapping_is_no_anchor);
	RUN(test_without_memory_there_is_none);
	RUN(test_what_was_taken_is_gone_until_it_is_put_back);
	RUN(test_the_next_to_come_replaces_what_was_lost);
	RUN(test_a_child_forked_in_the_middle_replaces_them);
	RUN(test_what_was_replaced_meanwhile_does_not_leak);
	RUN(test_beyond_the_table_nothing_is_kept);
	RUN(test_starts_and_a_release_race);

	return TEST_RESULT();
}
