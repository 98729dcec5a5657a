/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * When the agent tries again for its daemon, row 40 of the hazards, looks at the main thread, and how
 * often signals of the program wake it, in a world without a clock.
 */

#include "tests/unit/agent-fixture.h"

#define MSEC UINT64_C(1000)
#define SEC (1000 * MSEC)

#define FIRST_MSEC 250
#define LAST_MSEC 64000

/* Not all programs of the machine at once. */
static uint64_t spread_msec(void)
{
	return (uint64_t)getpid() % 500;
}

/* Between the end of the connection of attempt @nr, if there was one, and the next attempt. */
static uint64_t waited_msec(int nr)
{
	return (world.connected_usec[nr + 1] - world.connected_usec[nr] - world.lasts_usec[nr]) / MSEC;
}

static void begin(int n_connects_max)
{
	world = (struct world){ .now_usec = 1000 * SEC, .peer = -1, .n_connects_max = n_connects_max };
}

/* From attempt @nr on @n times: each wait twice the last one, up to the longest. */
static void check_doubling(int nr, int n)
{
	uint64_t expected_msec = FIRST_MSEC;

	for (int i = nr; i < nr + n; i++) {
		CHECK_EQ(waited_msec(i), expected_msec + spread_msec());
		if (expected_msec < LAST_MSEC)
			expected_msec *= 2;
	}
}

static void test_without_a_daemon_each_wait_is_twice_the_last_up_to_64_s(void)
{
	begin(14);
	world_run();
	CHECK_EQ(world.n_connects, 14);
	check_doubling(0, 13);
	CHECK_EQ(waited_msec(7), 32000 + spread_msec());
	CHECK_EQ(waited_msec(8), LAST_MSEC + spread_msec());
	CHECK_EQ(waited_msec(12), LAST_MSEC + spread_msec());
}

static void test_a_daemon_that_turns_us_away_is_asked_as_seldom(void)
{
	begin(14);
	for (int i = 0; i < 14; i++)
		world.lasts_usec[i] = 1 + (uint64_t)i % 2 * 10 * SEC / 2;
	world_run();
	CHECK_EQ(world.n_connects, 14);
	check_doubling(0, 13);
}

static void test_after_one_that_stayed_the_first_wait_is_short_again(void)
{
	begin(20);
	world.lasts_usec[10] = 3600 * SEC;
	world_run();
	CHECK_EQ(world.n_connects, 20);
	check_doubling(0, 10);
	check_doubling(10, 9);
}

static uint64_t longest_wait_usec;

static void note_wait(long number, const long args[static 6])
{
	const struct timespec *timeout = (const struct timespec *)args[2];
	uint64_t usec;

	if (number != SYS_ppoll || !args[0] || !timeout)
		return;

	usec = (uint64_t)timeout->tv_sec * SEC + (uint64_t)timeout->tv_nsec / 1000;
	if (longest_wait_usec < usec)
		longest_wait_usec = usec;
}

/* The first one 10 ms after the start, and then each twice as long. */
static void test_no_two_looks_at_the_main_thread_are_further_apart_than_30_s(void)
{
	begin(2);
	world.lasts_usec[0] = 3600 * SEC;
	world.on_call = note_wait;
	longest_wait_usec = 0;
	world_run();
	CHECK_EQ(longest_wait_usec, 30 * SEC);
}

/* Row 51, and row 17 for rights that it lowers and raises: both are looked at once more after 100 ms. */
static void test_a_main_thread_that_differs_for_a_moment_keeps_its_agent(void)
{
	begin(14);
	world.real_time_usec = world.now_usec + 60 * MSEC;
	world_run();
	CHECK_EQ(world.n_connects, 14);
}

static void test_one_that_differs_for_longer_has_none(void)
{
	begin(14);
	world.real_time_usec = world.now_usec + 200 * MSEC;
	world_run();
	CHECK_EQ(world.n_connects, 1);
}

/* Without the bell. */
static unsigned int n_deaf;
static uint64_t longest_deaf_usec, calm_usec;

static void note_deaf_wait(long number, const long args[static 6])
{
	const struct pollfd *fds = (const struct pollfd *)args[0];
	const struct timespec *timeout = (const struct timespec *)args[2];

	if (calm_usec > 0 && world.now_usec >= calm_usec)
		world.signals_per_sec = 0;
	if (number != SYS_ppoll || args[1] != 3 || fds[2].fd >= 0)
		return;

	n_deaf++;
	if (longest_deaf_usec < (uint64_t)timeout->tv_nsec / 1000 + (uint64_t)timeout->tv_sec * SEC)
		longest_deaf_usec = (uint64_t)timeout->tv_nsec / 1000 + (uint64_t)timeout->tv_sec * SEC;
}

/* An hour with a daemon that asks nothing, all or the first part of it with signals. */
static void run_with_signals(uint64_t per_sec, uint64_t calm_after_usec)
{
	begin(2);
	world.lasts_usec[0] = 3600 * SEC;
	world.signals_per_sec = per_sec;
	world.on_call = note_deaf_wait;
	calm_usec = calm_after_usec > 0 ? world.now_usec + calm_after_usec : 0;
	n_deaf = 0;
	longest_deaf_usec = 0;
	world_run();
}

static void test_few_signals_wake_it(void)
{
	run_with_signals(20, 0);
	CHECK(world.n_wakes > 3500 * 20);
	CHECK_EQ(n_deaf, 0);
}

static void test_many_signals_do_not_wake_it_but_now_and_then(void)
{
	run_with_signals(10000, 0);
	/* A tenth of a second in thirty, and what came before that was known. */
	CHECK(world.n_wakes < 3600 * 10000 / 200);
	/* Meanwhile it sees by itself that main waits. */
	CHECK(n_deaf > 3500 * 10);
	CHECK_EQ(longest_deaf_usec, 100 * MSEC);
}

/* Waits of any length, as between attempts to reach a daemon. */
static void test_nor_while_there_is_no_daemon(void)
{
	uint64_t begin_usec;

	begin(30);
	begin_usec = world.now_usec;
	world.signals_per_sec = 150;
	world_run();
	CHECK_EQ(world.n_connects, 30);
	CHECK(world.n_wakes < (world.now_usec - begin_usec) / SEC * 150 / 100);
}

/* None of the many is sent while it listens whether there are still as many. */
static void pause_for_a_sample(long number, const long args[static 6])
{
	static bool was_deaf;
	const struct pollfd *fds = (const struct pollfd *)args[0];

	if (number != SYS_ppoll || args[1] != 3)
		return;

	world.signals_per_sec = was_deaf && fds[2].fd >= 0 ? 0 : 10000;
	was_deaf = fds[2].fd < 0;
}

static void test_a_pause_among_many_costs_little(void)
{
	begin(2);
	world.lasts_usec[0] = 3600 * SEC;
	world.signals_per_sec = 10000;
	world.on_call = pause_for_a_sample;
	world_run();
	CHECK(world.n_wakes < 3600 * 10000 / 200);
}

static void test_when_they_have_ended_it_sleeps_as_ever(void)
{
	run_with_signals(10000, 60 * SEC);
	CHECK(n_deaf > 300);
	CHECK(n_deaf < 1000);
}

static void test_where_nobody_rings_none_wakes_it(void)
{
	begin(2);
	world.lasts_usec[0] = 3600 * SEC;
	world.signals_per_sec = 10000;
	world.nobody_rings = true;
	world_run();
	CHECK_EQ(world.n_wakes, 0);
}

int main(void)
{
	RUN(test_without_a_daemon_each_wait_is_twice_the_last_up_to_64_s);
	RUN(test_a_daemon_that_turns_us_away_is_asked_as_seldom);
	RUN(test_after_one_that_stayed_the_first_wait_is_short_again);
	RUN(test_no_two_looks_at_the_main_thread_are_further_apart_than_30_s);
	RUN(test_a_main_thread_that_differs_for_a_moment_keeps_its_agent);
	RUN(test_one_that_differs_for_longer_has_none);
	RUN(test_few_signals_wake_it);
	RUN(test_many_signals_do_not_wake_it_but_now_and_then);
	RUN(test_nor_while_there_is_no_daemon);
	RUN(test_a_pause_among_many_costs_little);
	RUN(test_when_they_have_ended_it_sleeps_as_ever);
	RUN(test_where_nobody_rings_none_wakes_it);

	return TEST_RESULT();
}
