/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Row 43 of the hazards, without CRIU: what it does to the agent is that all its descriptors are gone,
 * from one moment to the next, and under their numbers are the program's. Then nothing is read
 * from these, nor are they moved, closed or written to, and the agent ends.
 */

#include "libhook/apart.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "tests/unit/agent-fixture.h"

#define LIMIT 1100
#define LOW_LIMIT 256
#define N_OWN 4

/* The program's files, the same in both tables. */
static struct {
	int fds[N_OWN]; /* pipe, file, socket, counter */
	int pipe_in, socket_in;
} own;

static const char content[] = "nobody but the program reads this";

/* What the program has under the agent's numbers. */
enum taken {
	TAKEN_ALL,   /* one of its files, under each there is */
	TAKEN_MIXED, /* all of them in turn */
	TAKEN_FEW,   /* nothing from 20 on */
};

static struct {
	bool (*now)(long number, const long args[static 6]); /* is it taken down before this call? */
	enum taken taken;
	int which; /* of its files */
	int limit;
	bool done, may_dup;
	int n_after, n_harmful; /* calls since */
	long harmful;
} restore;

static int memory_file(void)
{
	const int fd = memfd_create("own", MFD_CLOEXEC);

	CHECK_EQ(write(fd, content, sizeof(content)), sizeof(content));
	CHECK_EQ(lseek(fd, 5, SEEK_SET), 5);
	return fd;
}

static void open_own(void)
{
	int fds[2];

	CHECK_EQ(pipe2(fds, O_NONBLOCK), 0);
	own.fds[0] = fds[0];
	own.pipe_in = fds[1];
	CHECK_EQ(write(own.pipe_in, content, sizeof(content)), sizeof(content));
	own.fds[1] = memory_file();
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	own.fds[2] = fds[0];
	own.socket_in = fds[1];
	CHECK_EQ(send(own.socket_in, content, sizeof(content), 0), sizeof(content));
	own.fds[3] = eventfd(3, EFD_NONBLOCK);
}

static void check_own_is_untouched(void)
{
	uint64_t count = 0;
	int n = 0;

	CHECK(ioctl(own.fds[0], FIONREAD, &n) == 0 && n == sizeof(content));
	CHECK_EQ(lseek(own.fds[1], 0, SEEK_CUR), 5);
	CHECK(ioctl(own.fds[2], FIONREAD, &n) == 0 && n == sizeof(content));
	CHECK_EQ(ioctl(own.socket_in, FIONREAD, &n), 0);
	CHECK_EQ(n, 0);
	CHECK_EQ(read(own.fds[3], &count, sizeof(count)), sizeof(count));
	CHECK_EQ(count, 3);
	for (int i = 0; i < N_OWN; i++)
		close(own.fds[i]);
	close(own.pipe_in);
	close(own.socket_in);
}

static bool is_own(int fd)
{
	for (int i = 0; i < N_OWN; i++)
		if (fd == own.fds[i])
			return true;

	return fd <= 2 || fd == own.pipe_in || fd == own.socket_in;
}

/* On the agent's thread, whose table has nothing to do with the test's. */
static void take_down_and_up(void)
{
	restore.done = true;
	for (int fd = 3; fd < restore.limit; fd++) {
		const int which = restore.taken == TAKEN_MIXED ? fd % N_OWN : restore.which;

		if (is_own(fd))
			continue;
		if (restore.taken == TAKEN_FEW && fd >= 20)
			(void)close(fd);
		else
			CHECK_EQ(dup2(own.fds[which], fd), fd);
	}
}

/* What may be called then is what concerns no descriptor, or only looks: to read nothing. */
static bool is_harmless(long number, const long args[static 6])
{
	return number == SYS_clock_gettime || number == SYS_getpid || number == SYS_ppoll ||
	       (number == SYS_read && args[2] == 0) ||
	       (restore.may_dup && number == SYS_fcntl && args[1] == F_DUPFD_CLOEXEC);
}

static void on_call(long number, const long args[static 6])
{
	if (restore.done) {
		restore.n_after++;
		if (!is_harmless(number, args)) {
			restore.n_harmful++;
			restore.harmful = number;
		}
		/* An agent that does not see it shall not go on for ever. */
		world.n_connects_max = world.n_connects;
	} else if (restore.now && restore.now(number, args)) {
		take_down_and_up();
	}
}

static void run(bool (*now)(long, const long[static 6]), enum taken taken, int which, int limit)
{
	struct rlimit before, lower;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	lower = before;
	lower.rlim_cur = (rlim_t)limit;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
	open_own();
	restore.now = now;
	restore.taken = taken;
	restore.which = which;
	restore.limit = limit;
	restore.done = false;
	restore.n_after = restore.n_harmful = 0;
	world.on_call = on_call;
	world_run();
	check_own_is_untouched();
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void check_all(bool (*now)(long, const long[static 6]), const struct wire_frame *question)
{
	static const int limits[] = { LIMIT, LOW_LIMIT };

	for (int i = 0; i < 2; i++)
		for (int which = 0; which < N_OWN + 2; which++) {
			world_begin(question);
			run(now, which < N_OWN ? TAKEN_ALL : which == N_OWN ? TAKEN_MIXED : TAKEN_FEW,
			    which < N_OWN ? which : 0, limits[i]);
			CHECK(restore.done);
			CHECK(restore.n_after > 0);
			CHECK_EQ(restore.n_harmful, 0);
			if (restore.n_harmful > 0)
				printf("# call %ld, limit %d, case %d\n", restore.harmful, limits[i], which);
		}
}

static bool as_it_sleeps(long number, const long args[static 6])
{
	(void)args;
	return number == SYS_ppoll;
}

static void test_while_it_sleeps(void)
{
	check_all(as_it_sleeps, NULL);
}

static bool as_it_dozes(long number, const long args[static 6])
{
	return number == SYS_ppoll && args[1] == 3 && ((struct pollfd *)args[0])[2].fd < 0;
}

/* The signals of the program have become too many for it. */
static void test_while_it_dozes(void)
{
	for (int i = 0; i < N_OWN; i++) {
		world_begin(NULL);
		world.signals_per_sec = 10000;
		run(as_it_dozes, TAKEN_ALL, i, LIMIT);
		CHECK(restore.done);
		CHECK_EQ(restore.n_harmful, 0);
	}
}

static bool when_alone(long number, const long args[static 6])
{
	return number == SYS_ppoll && args[0] && ((struct pollfd *)args[0])->fd < 0;
}

static void test_while_it_waits_to_try_again(void)
{
	for (int i = 0; i < N_OWN; i++) {
		world_begin(NULL);
		world.lasts_usec[0] = 0;
		run(when_alone, TAKEN_ALL, i, LIMIT);
		CHECK(restore.done);
		CHECK_EQ(restore.n_harmful, 0);
	}
}

static struct wire_frame frame;

/* One part of the list of mappings has been read, and there are more. */
static bool in_the_list(long number, const long args[static 6])
{
	static int n_parts;

	if (number == SYS_close_range || number == SYS_recvfrom)
		n_parts = 0;
	n_parts += number == SYS_read && args[2] == 4096;
	return n_parts == 1 && number == SYS_read && args[2] == 0;
}

static void test_in_the_middle_of_a_look(void)
{
	wire_init(&frame, WIRE_TO_HOOK, WIRE_STATS, 7, WIRE_OK);
	frame.stats_request.flags = WIRE_STATS_RSS;
	check_all(in_the_list, &frame);
}

static bool in_trim;

/* The agent's, since the hook finds it first. */
int malloc_trim(size_t pad)
{
	(void)pad;
	if (!restore.done)
		take_down_and_up();
	in_trim = true;
	return 0;
}

static bool never(long number, const long args[static 6])
{
	(void)number;
	(void)args;
	return false;
}

static void test_in_the_middle_of_a_release(void)
{
	wire_init(&frame, WIRE_TO_HOOK, WIRE_RECLAIM, 7, WIRE_OK);
	frame.reclaim_request.method = WIRE_METHOD_FULL;
	in_trim = false;
	check_all(never, &frame);
	CHECK(in_trim);
}

/* The number of the socket is the program's by then: at worst it gets a second one. */
static bool before_the_socket_is_moved(long number, const long args[static 6])
{
	static bool made;

	if (number == SYS_socket)
		made = true;
	if (number != SYS_fcntl || !made)
		return false;
	made = false;
	CHECK_EQ(args[1], F_DUPFD_CLOEXEC);
	return true;
}

static void test_between_a_socket_and_its_connection_nothing_is_connected_or_closed(void)
{
	for (int few = 0; few < 2; few++) {
		world_begin(NULL);
		restore.may_dup = true;
		run(before_the_socket_is_moved, few ? TAKEN_FEW : TAKEN_ALL, 2, LIMIT);
		restore.may_dup = false;
		CHECK(restore.done);
		CHECK_EQ(restore.n_harmful, 0);
		CHECK_EQ(world.n_connects, 0);
	}
}

/* What the table held before the agent did anything, and what it holds in its first wait. */
static bool inherited[LIMIT];
static int n_low, n_all, lowest;

static bool count(long number, const long args[static 6])
{
	if (number == SYS_close_range) {
		for (int fd = 0; fd < LIMIT; fd++)
			inherited[fd] = fcntl(fd, F_GETFD) >= 0;
	} else if (number == SYS_ppoll && args[0]) {
		n_low = n_all = 0;
		for (int fd = 0; fd < LIMIT; fd++)
			if (!inherited[fd] && fd != world.peer && fcntl(fd, F_GETFD) >= 0) {
				n_all++;
				n_low += fd < lowest;
			}
		world.n_connects_max = world.n_connects;
	}

	return false;
}

static void test_all_its_numbers_are_such_as_programs_seldom_have(void)
{
	world_begin(NULL);
	lowest = 1000;
	run(count, TAKEN_ALL, 0, LIMIT);
	CHECK(n_all >= 6);
	CHECK_EQ(n_low, 0);
}

static void test_so_they_are_as_far_as_a_lower_limit_allows(void)
{
	world_begin(NULL);
	lowest = LOW_LIMIT / 2 - 3;
	run(count, TAKEN_ALL, 0, LOW_LIMIT);
	CHECK(n_all >= 6);
	CHECK_EQ(n_low, 0);
}

static void test_a_descriptor_stays_where_there_is_no_room(void)
{
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit before, lower;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	lower = before;
	lower.rlim_cur = (rlim_t)fd + 1;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
	CHECK_EQ(apart_move(fd), fd);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK_EQ(apart_move(-ENOENT), -ENOENT);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(apart_move(fd), -EBADF);
}

int main(void)
{
	RUN(test_all_its_numbers_are_such_as_programs_seldom_have);
	RUN(test_so_they_are_as_far_as_a_lower_limit_allows);
	RUN(test_a_descriptor_stays_where_there_is_no_room);
	RUN(test_while_it_sleeps);
	RUN(test_while_it_dozes);
	RUN(test_while_it_waits_to_try_again);
	RUN(test_in_the_middle_of_a_look);
	RUN(test_in_the_middle_of_a_release);
	RUN(test_between_a_socket_and_its_connection_nothing_is_connected_or_closed);

	return TEST_RESULT();
}
