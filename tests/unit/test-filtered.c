/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Row 28 of the hazards: a filter comes while the agent is in a long call of glibc's, or borrows. What it
 * calls next, but for the time, is read(), and nothing else; of a borrowing, once it has seen the filter.
 */

#include <malloc.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "libhook/heap.h"
#include "libhook/start.h"

#include "tests/unit/agent-fixture.h"

static bool comes; /* in the middle of what is asked */
static int n_harmful, n_parked;
static long harmful;

static void come(void)
{
	if (!comes)
		return;

	world.filtered = true;
	CHECK(world_tell(world.status));
}

/* What the hook calls instead of glibc's: of many arenas, so that the stream is full several times. */
int malloc_info(int options, FILE *stream)
{
	come();
	for (int i = 0; i < 1000; i++)
		(void)fputs("<size from=\"17\" to=\"32\" total=\"64\" count=\"2\"/>\n", stream);
	return options;
}

int malloc_trim(size_t pad)
{
	come();
	return pad == 0;
}

/* Dropping is by libc's function. */
int madvise(void *address, size_t bytes, int advice)
{
	const long args[6] = { (long)address, (long)bytes, advice };

	if (world.on_call && world_is_agent)
		world.on_call(SYS_madvise, args);
	return (int)world_kernel(SYS_madvise, address, bytes, advice);
}

/* On the agent's thread. Under the filter it is judged what it calls. */
static void judge(long number, const long args[static 6])
{
	const uint64_t one = 1;

	if (number != SYS_read) {
		n_harmful++;
		harmful = number;
		/* An agent that does not see it shall not go on for ever. */
		world.n_connects_max = world.n_connects;
	} else if (args[2] == sizeof(one)) {
		/* There it would stay for good. */
		n_parked++;
		CHECK_EQ(world_kernel(SYS_write, args[0], &one, sizeof(one)), sizeof(one));
	}
}

static void on_call(long number, const long args[static 6])
{
	if (world.filtered && number != SYS_clock_gettime)
		judge(number, args);
}

static void ask(const struct wire_frame *question, void (*f)(long number, const long args[static 6]))
{
	world_begin(question);
	world.tells = true;
	world.on_call = f;
	n_harmful = n_parked = 0;
	world_run();
}

static void check_silence(void)
{
	CHECK(world.filtered);
	CHECK_EQ(n_parked, 1);
	CHECK_EQ(n_harmful, 0);
	if (n_harmful > 0)
		printf("# call %ld\n", harmful);
}

static void check(const struct wire_frame *question)
{
	comes = false;
	ask(question, on_call);
	CHECK_EQ(world.n_connects, 20);
	CHECK_EQ(n_parked, 0);

	comes = true;
	ask(question, on_call);
	check_silence();
}

static void test_while_it_reads_the_heap(void)
{
	struct wire_frame question;

	wire_init(&question, WIRE_TO_HOOK, WIRE_STATS, 7, WIRE_OK);
	question.stats_request.flags = WIRE_STATS_HEAP | WIRE_STATS_RSS;
	check(&question);
}

static void test_while_it_trims(void)
{
	struct wire_frame question;

	wire_init(&question, WIRE_TO_HOOK, WIRE_RECLAIM, 7, WIRE_OK);
	question.reclaim_request.method = WIRE_METHOD_FULL;
	check(&question);
}

/* Another allocator than glibc's is not borrowed from. */
#ifndef OTHER_ALLOCATOR

#define HOLES 1000
#define HOLE_BYTES 16000
#define WALL_BYTES 64

/* Each look at the clock takes that long, and the agent looks for a filter every 20 ms. */
#define STEP_USEC 100
#define LOOK_USEC 20000

static struct borrowing {
	/* So much is dropped when it comes, and so many rests after the last drop; 0: never. */
	size_t after_bytes;
	unsigned int at_rest;
	size_t dropped_bytes;
	unsigned int n_rests;
	unsigned int n_drops; /* under the filter, but it is not seen yet */
	uint64_t came_usec, seen_usec;
} borrowing;

/* By the file, since the agent gives it another number. */
static bool is_status(int fd)
{
	struct stat this, status;

	return fstat(fd, &this) == 0 && fstat(world.status, &status) == 0 && this.st_dev == status.st_dev &&
	       this.st_ino == status.st_ino;
}

static void come_at_a_rest(void)
{
	if (++borrowing.n_rests != borrowing.at_rest || borrowing.dropped_bytes < borrowing.after_bytes)
		return;

	borrowing.came_usec = world.now_usec;
	comes = true;
	come();
}

static void on_call_while_borrowing(long number, const long args[static 6])
{
	if (number == SYS_clock_gettime) {
		world.now_usec += STEP_USEC;
	} else if (borrowing.seen_usec > 0) {
		judge(number, args);
	} else if (!world.filtered) {
		if (number == SYS_madvise) {
			borrowing.dropped_bytes += (size_t)args[1];
			borrowing.n_rests = 0;
		}
		if (number == SYS_clock_nanosleep)
			come_at_a_rest();
	} else if (number == SYS_read && is_status((int)args[0])) {
		borrowing.seen_usec = world.now_usec;
	} else {
		borrowing.n_drops += number == SYS_madvise;
	}
}

static char *holes[HOLES];
static uintptr_t lowest, highest; /* of them, when they were made */

static void free_holes(void)
{
	for (size_t i = 0; i < HOLES; i++)
		free(holes[i]);
}

/* All of it resident. Returns how many are there where they were made. */
static unsigned int take_holes(void)
{
	unsigned int n = 0;

	for (size_t i = 0; i < HOLES; i++) {
		holes[i] = malloc(HOLE_BYTES);
		if (holes[i])
			memset(holes[i], 1, HOLE_BYTES);
		n += (uintptr_t)holes[i] >= lowest && (uintptr_t)holes[i] <= highest;
	}

	return n;
}

/* Behind each something that is in use, and stays. */
static void make_holes(void)
{
	static char *walls[HOLES];

	for (size_t i = 0; i < HOLES; i++) {
		holes[i] = malloc(HOLE_BYTES);
		walls[i] = malloc(WALL_BYTES);
		CHECK(holes[i] && walls[i]);
	}
	lowest = (uintptr_t)holes[0];
	highest = (uintptr_t)holes[HOLES - 1];
	free_holes();
}

/* Of all holes, and the filter comes when so much is given back. */
static void borrow_with(size_t limit_bytes, size_t after_bytes, unsigned int at_rest)
{
	struct wire_frame question;

	wire_init(&question, WIRE_TO_HOOK, WIRE_RECLAIM, 7, WIRE_OK);
	question.reclaim_request.method = WIRE_METHOD_BORROW;
	question.reclaim_request.limit_bytes = limit_bytes;
	borrowing = (struct borrowing){ .after_bytes = after_bytes, .at_rest = at_rest };
	comes = false;
	ask(&question, on_call_while_borrowing);
}

/* From 2.42 on only some of the largest holes can be taken. */
static bool can_borrow(void)
{
	unsigned int minor;

	return sscanf(gnu_get_libc_version(), "2.%u", &minor) == 1 && minor < 42;
}

static void check_borrowing(size_t limit_bytes, size_t after_bytes, unsigned int at_rest)
{
	CHECK(take_holes() >= HOLES * 9 / 10);
	free_holes();
	borrow_with(limit_bytes, 0, 0);
	CHECK_EQ(n_parked, 0);
	CHECK(borrowing.dropped_bytes >= after_bytes);

	CHECK(take_holes() >= HOLES * 9 / 10);
	free_holes();
	borrow_with(limit_bytes, after_bytes, at_rest);
	check_silence();
	CHECK(borrowing.came_usec > 0);
	CHECK(borrowing.seen_usec - borrowing.came_usec <= 2 * LOOK_USEC);
	/* What was held is the program's again. */
	CHECK(take_holes() >= HOLES * 9 / 10);
	free_holes();
}

static void test_while_it_borrows(void)
{
	check_borrowing(0, (size_t)4 << 20, 1);
	/* In the middle of it. */
	CHECK(borrowing.dropped_bytes < (size_t)HOLES * HOLE_BYTES / 2);
}

/* Which can take as long. */
static void test_while_it_gives_back_what_it_borrowed(void)
{
	/* While it takes, hardly two rests have no drop between them. */
	check_borrowing((size_t)8 << 20, (size_t)8 << 20, 10);
	CHECK_EQ(borrowing.n_drops, 0);
}

#endif

int main(void)
{
	CHECK(heap_prepare());
	RUN(test_while_it_reads_the_heap);
	RUN(test_while_it_trims);
#ifndef OTHER_ALLOCATOR
	start_prepare(false);
	start_anchor();
	/* What no hole fits comes from the top then, of which a piece is fenced off, and emptied at the end. */
	CHECK(mallopt(M_MMAP_THRESHOLD, 32 << 20) == 1);
	make_holes();
	if (can_borrow()) {
		RUN(test_while_it_borrows);
		RUN(test_while_it_gives_back_what_it_borrowed);
	} else {
		printf("# with this glibc it takes no more than some of the largest holes\n");
	}
#endif

	return TEST_RESULT();
}
