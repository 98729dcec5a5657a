/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Threads that leave an anchor first; what an anchor is, is test-anchor.c's matter. */

#include "libhook/start.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libhook/anchor.h"
#include "libhook/life.h"
#include "tests/unit/test.h"

/* More than that are not under way at a time; see start.c. */
#define STARTS 64

#define MAKERS 8
#define STARTS_EACH 100

static int n_dropped, n_run; /* atomic */
static unsigned int blocks_dropped;
static bool blocked;         /* in the last drop */

void anchor_drop(unsigned int n_blocks)
{
	sigset_t now;

	CHECK(n_blocks >= 1);
	__atomic_store_n(&blocks_dropped, n_blocks, __ATOMIC_RELAXED);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	__atomic_store_n(&blocked, sigismember(&now, SIGALRM) == 1 && sigismember(&now, SIGSEGV) == 1,
			 __ATOMIC_RELAXED);
	errno = ENOMEM;
	__atomic_add_fetch(&n_dropped, 1, __ATOMIC_RELAXED);
}

static void *routine(void *arg)
{
	__atomic_add_fetch(&n_run, 1, __ATOMIC_RELAXED);
	return (char *)arg + 1;
}

static void *other_routine(void *arg)
{
	return arg;
}

static void test_a_thread_leaves_an_anchor_and_does_its_work(void)
{
	start_routine_t f = routine;
	pthread_t thread;
	char c[2];
	void *arg = c, *result = NULL;

	n_dropped = n_run = 0;
	CHECK(start_wrap(&f, &arg));
	CHECK(f != routine && arg != c);
	CHECK_EQ(pthread_create(&thread, NULL, f, arg), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == c + 1);
	CHECK_EQ(n_dropped, 1);
	CHECK_EQ(n_run, 1);
}

static void test_room_comes_back(void)
{
	for (int i = 0; i < 3 * STARTS; i++) {
		start_routine_t f = other_routine;
		void *arg = &f;

		CHECK(start_wrap(&f, &arg));
		CHECK(f(arg) == &f);
	}
}

static void test_without_room_nothing_is_changed(void)
{
	struct start *starts[STARTS];
	start_routine_t f;
	void *arg;

	for (int i = 0; i < STARTS; i++) {
		f = routine;
		arg = NULL;
		starts[i] = start_wrap(&f, &arg);
		CHECK(starts[i]);
	}
	f = other_routine;
	arg = &f;
	CHECK(!start_wrap(&f, &arg));
	CHECK(f == other_routine && arg == &f);

	/* As where the threads could not be made. */
	for (int i = 0; i < STARTS; i++)
		start_cancel(starts[i]);
	CHECK(start_wrap(&f, &arg));
	CHECK(f(arg) == &f);
	start_cancel(NULL);
}

static void test_no_handler_runs_meanwhile(void)
{
	sigset_t before, after;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	blocked = false;
	errno = 4711;
	start_anchor();
	CHECK_EQ(errno, 4711);
	CHECK(blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	CHECK(sigismember(&after, SIGUSR1) == 1 && sigismember(&after, SIGALRM) == 0);
	sigemptyset(&before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Where none comes back from a cache, each is good for one chunk. */
static void test_without_caches_there_are_many_blocks(void)
{
	start_prepare(true);
	start_anchor();
	CHECK_EQ(blocks_dropped, 32);
	start_prepare(false);
	start_anchor();
	CHECK(blocks_dropped == 2 || blocks_dropped == 32);
}

static void *make_threads(void *bad)
{
	for (int i = 0; i < STARTS_EACH; i++) {
		start_routine_t f = routine;
		char *mine = (char *)bad + i;
		void *arg = mine, *result = NULL;
		struct start *start = start_wrap(&f, &arg);
		pthread_t thread;

		if (pthread_create(&thread, NULL, f, arg) != 0) {
			start_cancel(start);
			*mine = 1;
			continue;
		}
		/* Each its own argument, and its own result. */
		*mine = pthread_join(thread, &result) != 0 || result != mine + 1;
	}

	return NULL;
}

static void test_threads_made_by_many_get_what_is_theirs(void)
{
	static char bad[MAKERS][STARTS_EACH];
	pthread_t makers[MAKERS];

	n_run = n_dropped = 0;
	for (int i = 0; i < MAKERS; i++)
		CHECK_EQ(pthread_create(&makers[i], NULL, make_threads, bad[i]), 0);
	for (int i = 0; i < MAKERS; i++)
		pthread_join(makers[i], NULL);

	CHECK_EQ(n_run, MAKERS * STARTS_EACH);
	CHECK_EQ(n_dropped, MAKERS * STARTS_EACH);
	for (int i = 0; i < MAKERS; i++)
		for (int j = 0; j < STARTS_EACH; j++)
			CHECK_EQ(bad[i][j], 0);
}

/* Threads that were under way in the parent are not in the child, and never start there. */
static void test_a_child_has_all_the_room(void)
{
	struct start *starts[STARTS];
	start_routine_t f;
	void *arg = &f;
	int status = -1;
	pid_t child;

	for (int i = 0; i < STARTS; i++) {
		f = routine;
		starts[i] = start_wrap(&f, &arg);
		CHECK(starts[i]);
	}
	child = fork();
	if (child == 0) {
		f = routine;
		_exit(start_wrap(&f, &arg) ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	f = routine;
	CHECK(!start_wrap(&f, &arg));
	for (int i = 0; i < STARTS; i++)
		start_cancel(starts[i]);
}

int main(void)
{
	life_prepare((uint32_t)sysconf(_SC_PAGESIZE));
	RUN(test_without_caches_there_are_many_blocks);
	RUN(test_a_thread_leaves_an_anchor_and_does_its_work);
	RUN(test_room_comes_back);
	RUN(test_a_child_has_all_the_room);
	RUN(test_without_room_nothing_is_changed);
	RUN(test_no_handler_runs_meanwhile);
	RUN(test_threads_made_by_many_get_what_is_theirs);

	return TEST_RESULT();
}
