/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Row 28 of the hazards: a filter comes while the agent is in a long call of glibc's. What it calls next, but
 * for the time, is read(), and nothing else.
 */

#include <malloc.h>
#include <stdbool.h>

#include "libhook/heap.h"

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

/* On the agent's thread. */
static void on_call(long number, const long args[static 6])
{
	const uint64_t one = 1;

	if (!world.filtered || number == SYS_clock_gettime)
		return;

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

static void ask(const struct wire_frame *question)
{
	world_begin(question);
	world.tells = true;
	world.on_call = on_call;
	n_harmful = n_parked = 0;
	world_run();
}

static void check(const struct wire_frame *question)
{
	comes = false;
	ask(question);
	CHECK_EQ(world.n_connects, 20);
	CHECK_EQ(n_parked, 0);

	comes = true;
	ask(question);
	CHECK(world.filtered);
	CHECK_EQ(n_parked, 1);
	CHECK_EQ(n_harmful, 0);
	if (n_harmful > 0)
		printf("# call %ld\n", harmful);
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

int main(void)
{
	CHECK(heap_prepare());
	RUN(test_while_it_reads_the_heap);
	RUN(test_while_it_trims);

	return TEST_RESULT();
}
