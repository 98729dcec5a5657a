/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libhook/anchor.h"
#include "tests/unit/test.h"

static const char smaps[] =
	"55d000000000-55d000021000 rw-p 00000000 00:00 0                          [heap]\n"
	"Size:                132 kB\nRss:                 100 kB\nPss:                 100 kB\n"
	"AnonHugePages:        64 kB\n"
	"Swap:                 12 kB\nSwapPss:               12 kB\n"
	"VmFlags: rd wr mr mw me ac sd\n"
	"7f0000000000-7f0000800000 rw-p 00000000 00:00 0 \n"
	"Rss:                2000 kB\nSwap:                 300 kB\n"
	/* The same arena, split by madvise(). */
	"7f0000800000-7f0000900000 rw-p 00000000 00:00 0 \n"
	"Rss:                  50 kB\n"
	"7f0000900000-7f0004000000 ---p 00000000 00:00 0 \n"
	"Rss:                   0 kB\n"
	/* Anonymous, but where no arena begins. */
	"7f0010100000-7f0010200000 rw-p 00000000 00:00 0 \n"
	"Rss:                9999 kB\nAnonHugePages:      2048 kB\nSwap:    77 kB\n"
	/* On the boundary, but a file. */
	"7f0014000000-7f0014200000 rw-p 00000000 fd:01 17                 /usr/lib/libc.so.6\n"
	"Rss:                8888 kB\n"
	"7f0018000000-7f0018200000 rw-p 00000000 00:00 0                  [anon: glibc: malloc arena]\n"
	"Rss:                 300 kB\n";

/* As if a quarter of each mapping that is not all resident were at its end, not resident. */
static uint64_t a_quarter(uint64_t begin, uint64_t size)
{
	CHECK(begin % 4096 == 0);
	return size / 4;
}

static uint64_t hollow, swapped;

static uint64_t scan(size_t step, uint64_t *ret_huge)
{
	struct proc_smaps state = { .tail_of = a_quarter };
	const size_t size = sizeof(smaps) - 1;

	for (size_t i = 0; i < size; i += step)
		proc_smaps_feed(&state, smaps + i, (uint32_t)(size - i < step ? size - i : step));

	*ret_huge = state.heap_huge;
	hollow = state.hollow + state.tail;
	swapped = state.heap_swap;
	return state.heap_rss;
}

static void test_break_and_arenas_count_and_nothing_else(void)
{
	uint64_t huge;

	CHECK_EQ(scan(4096, &huge), (100 + 2000 + 50 + 300) * 1024);
	CHECK_EQ(huge, 64 * 1024);
	CHECK_EQ(swapped, (12 + 300) * 1024);
	/* Of the heap in parts the last one, and the other heap; not of the break. */
	CHECK_EQ(hollow, (0x100000 + 0x200000) / 4);
}

static void test_pieces_of_any_size_give_the_same(void)
{
	uint64_t huge;

	for (size_t step = 1; step < 100; step++) {
		CHECK_EQ(scan(step, &huge), (100 + 2000 + 50 + 300) * 1024);
		CHECK_EQ(huge, 64 * 1024);
	}
}

static bool begins_at_7f0004000000(uintptr_t address)
{
	return address == 0x7f0004000000;
}

static uint64_t half(uint64_t begin, uint64_t size)
{
	CHECK_EQ(begin, 0x7f0004000000);
	return size / 2;
}

static void test_a_heap_that_is_joined_with_what_lies_before_it_counts(void)
{
	static const char text[] =
		"7f0003f00000-7f0004200000 rw-p 00000000 00:00 0 \n"
		"Rss:                3072 kB\nAnonHugePages:      2048 kB\nSwap:    77 kB\n"
		"7f0004200000-7f0008000000 ---p 00000000 00:00 0 \n"
		"Rss:                   0 kB\n"
		/* No heap is known in this one. */
		"7f000bf00000-7f000c200000 rw-p 00000000 00:00 0 \n"
		"Rss:                3072 kB\n"
		"7f8000000000-7f8000021000 rw-p 00000000 00:00 0                          [heap]\n"
		"Rss:                 100 kB\nSwap:                  5 kB\n";
	struct proc_smaps state = {
		.begins_at = begins_at_7f0004000000,
		.resident_of = half,
		.tail_of = a_quarter,
	};

	proc_smaps_feed(&state, text, sizeof(text) - 1);
	CHECK_EQ(state.heap_rss, 0x100000 + 100 * 1024);
	CHECK_EQ(state.hollow + state.tail, 0x200000 / 4);
	/* Of which part these are is not told. */
	CHECK_EQ(state.heap_huge, 0);
	CHECK_EQ(state.heap_swap, 5 * 1024);

	/* Without that knowledge it is left out. */
	state = (struct proc_smaps){ .tail_of = a_quarter };
	proc_smaps_feed(&state, text, sizeof(text) - 1);
	CHECK_EQ(state.heap_rss, 100 * 1024);
}

/* Of another allocator's blocks what lies before must not be read. */
#ifndef OTHER_ALLOCATOR
#define BLOCKS 64
#define BLOCK_BYTES 100000

static void *use_an_arena(void *arg)
{
	char **blocks = arg;

	anchor_drop(2);
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		CHECK(blocks[i]);
		memset(blocks[i], 1, BLOCK_BYTES);
	}

	return NULL;
}

static void test_so_does_one_that_the_kernel_has_joined(void)
{
	static char *blocks[BLOCKS];
	const size_t before_bytes = 1 << 20;
	uint64_t huge, tail, swap, heap, rss;
	pthread_t thread;
	void *before;

	CHECK_EQ(pthread_create(&thread, NULL, use_an_arena, blocks), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	heap = (uintptr_t)blocks[0] & ~((UINT64_C(64) << 20) - 1);
	before = (void *)(uintptr_t)(heap - before_bytes);
	CHECK(proc_heap_rss(&rss, &huge, &tail, &swap));
	CHECK(anchor_is_at(heap));
	/* Or something lies there already. */
	if (mmap(before, before_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == before) {
		memset(before, 1, before_bytes);
		CHECK(rss >= BLOCKS * (uint64_t)BLOCK_BYTES);
		CHECK(proc_heap_rss(&rss, &huge, &tail, &swap) && rss >= BLOCKS * (uint64_t)BLOCK_BYTES);
		munmap(before, before_bytes);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
}

#define ALIGN ((uintptr_t)64 << 20)

static pthread_barrier_t both;

static void *use_an_arena_beside_another(void *arg)
{
	use_an_arena(arg);
	(void)pthread_barrier_wait(&both);
	return NULL;
}

static void *use_another_without_anchor(void *arg)
{
	*(void **)arg = malloc(BLOCK_BYTES);
	CHECK(*(void **)arg);
	(void)pthread_barrier_wait(&both);
	return NULL;
}

/* As a JVM's or Go's heap; and an arena that has no anchor is one nevertheless. */
static void test_what_else_begins_where_arenas_do_does_not_count(void)
{
	static char *blocks[BLOCKS];
	const size_t other_bytes = 32 << 20;
	uint64_t huge, tail, swap, before, rss;
	pthread_t thread, another;
	uintptr_t other, heap;
	char *all;
	void *block = NULL;

	CHECK_EQ(pthread_barrier_init(&both, NULL, 2), 0);
	CHECK_EQ(pthread_create(&thread, NULL, use_an_arena_beside_another, blocks), 0);
	CHECK_EQ(pthread_create(&another, NULL, use_another_without_anchor, &block), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(pthread_join(another, NULL), 0);
	CHECK(anchor_is_at((uintptr_t)blocks[0] & ~(ALIGN - 1)));
	heap = (uintptr_t)block & ~(ALIGN - 1);
	CHECK(!anchor_is_no_heap(heap));

	all = mmap(NULL, 2 * ALIGN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(all != MAP_FAILED);
	other = ((uintptr_t)all + ALIGN - 1) & ~(ALIGN - 1);
	CHECK_EQ(mprotect((void *)other, other_bytes, PROT_READ | PROT_WRITE), 0);
	CHECK(proc_heap_rss(&before, &huge, &tail, &swap));
	/* What is not there is not read. */
	CHECK(!anchor_is_no_heap(other));
	memset((void *)other, 1, other_bytes);
	CHECK(anchor_is_no_heap(other));
	CHECK(proc_heap_rss(&rss, &huge, &tail, &swap) && rss < before + other_bytes / 2);

	/* What begins with the address of what is no heap, or of itself somewhere else. */
	*(uintptr_t *)other = (uintptr_t)&other;
	CHECK(anchor_is_no_heap(other));
	*(uintptr_t *)other = heap;
	CHECK(anchor_is_no_heap(other));
	munmap(all, 2 * ALIGN);
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	free(block);
}
#endif

static void test_the_kernel_tells_about_us(void)
{
	CHECK(proc_rss((uint64_t)sysconf(_SC_PAGESIZE)) > 0);
	CHECK_EQ(proc_leader_ended(), 0);
}

/* Nothing of ours need be in swap here: what is not must be told as such. */
static void test_where_pages_are_can_be_asked(void)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	CHECK_EQ(proc_swapped_pages(1, 300), 0);
	CHECK(proc_open_pages());
	CHECK(proc_open_pages());
	CHECK(proc_swapped() < UINT64_MAX / 2);
	CHECK_EQ(proc_swapped_pages(1, 300), 0);
	CHECK(proc_swapped_pages((uint64_t)(uintptr_t)&page / page, 1) <= 1);
}

static int seccomp_of(const char *text)
{
	int fds[2], mode;

	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	mode = proc_seccomp(fds[0]);
	close(fds[0]);
	return mode;
}

static void test_the_filter_is_found_wherever_its_line_is(void)
{
	char text[4000];

	CHECK_EQ(seccomp_of("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t7\n"), 0);
	CHECK_EQ(seccomp_of("Name:\tx\n\nSeccomp:\t2\n"), 2);
	CHECK_EQ(seccomp_of("Name:\tSeccomp:\t2\n"), -ENODATA);
	CHECK_EQ(seccomp_of("Name:\tx\nSeccomp:\t"), -ENODATA);
	CHECK_EQ(seccomp_of(""), -ENODATA);

	/* Behind a long list of groups, at every place in the buffer. */
	for (size_t n = 900; n < 2200; n++) {
		memset(text, '7', n);
		strcpy(text + n, "\nSeccomp:\t2\n");
		CHECK_EQ(seccomp_of(text), 2);
	}
}

static bool count_down(void *arg)
{
	int *left = arg;

	return (*left)-- > 0;
}

static int n_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 2000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;

	return n;
}

/* Row 28: after all of the file has been read, not even that is closed. */
static void test_what_a_guard_forbids_is_not_called(void)
{
	const int before = n_open();
	uint64_t rss = 0, huge = 1, tail = 1, swap = 1;
	int left = 1000000;

	proc_set_guard(count_down, &left);
	CHECK(proc_heap_rss(&rss, &huge, &tail, &swap) && rss > 0);
	CHECK_EQ(n_open(), before);
	CHECK(left < 1000000);

	left = 0;
	huge = tail = swap = 1;
	CHECK(!proc_heap_rss(&rss, &huge, &tail, &swap));
	CHECK(huge == 1 && tail == 1 && swap == 1);
	CHECK_EQ(n_open(), before + 1);
	proc_set_guard(NULL, NULL);
}

int main(void)
{
	RUN(test_break_and_arenas_count_and_nothing_else);
	RUN(test_pieces_of_any_size_give_the_same);
	RUN(test_a_heap_that_is_joined_with_what_lies_before_it_counts);
#ifndef OTHER_ALLOCATOR
	RUN(test_so_does_one_that_the_kernel_has_joined);
	RUN(test_what_else_begins_where_arenas_do_does_not_count);
#endif
	RUN(test_the_kernel_tells_about_us);
	RUN(test_where_pages_are_can_be_asked);
	RUN(test_the_filter_is_found_wherever_its_line_is);
	RUN(test_what_a_guard_forbids_is_not_called);
	return TEST_RESULT();
}
