/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* basic/log: where nobody takes the lines, they are lost and counted, and nobody waits. */

#include "agent/basic/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/test.h"

/* More than any pipe or socket holds. */
#define LINES 40000

/* Only a line that waits takes this long, and the signal is the failure then. */
#define LIMIT_SEC 120

static char text[16 << 20];

/* What log_line() wrote to stderr while it was @fd. */
static void log_lines_to(int fd, int n)
{
	const int saved = dup(STDERR_FILENO);

	dup2(fd, STDERR_FILENO);
	for (int i = 0; i < n; i++)
		log_info("line %d", i);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static size_t drain(int fd)
{
	size_t n = 0;
	ssize_t r;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	while (n < sizeof(text) - 1 && (r = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)r;

	text[n] = '\0';
	return n;
}

static int count_lines(void)
{
	int n = 0;

	for (const char *s = text; (s = strchr(s, '\n')); s++)
		n++;

	return n;
}

/* Full, then drained: the next line is preceded by how many are missing. */
static void lose_lines(int out, int in)
{
	char *lost;
	int n_taken;

	alarm(LIMIT_SEC);
	log_lines_to(out, LINES);
	drain(in);
	n_taken = count_lines();
	CHECK(n_taken > 0);
	CHECK(n_taken < LINES);
	/* Whole lines only. */
	CHECK(text[strlen(text) - 1] == '\n');

	log_lines_to(out, 1);
	drain(in);
	CHECK_EQ(count_lines(), 2);
	lost = strchr(text, ' ');
	CHECK(lost && strtol(lost, NULL, 10) == LINES - n_taken);
	CHECK(strstr(text, "lines of the log were lost") != NULL);
	CHECK(strstr(text, "line 0\n") != NULL);

	log_lines_to(out, 1);
	drain(in);
	CHECK_EQ(count_lines(), 1);
	alarm(0);
	close(out);
	close(in);
}

static void test_a_full_pipe_is_not_waited_for(void)
{
	int fds[2];

	CHECK_EQ(pipe(fds), 0);
	lose_lines(fds[1], fds[0]);
}

/* As the journal's is. */
static void test_a_full_stream_socket_is_not_waited_for(void)
{
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	lose_lines(fds[1], fds[0]);
}

static void test_a_closed_end_is_survived(void)
{
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	close(fds[0]);
	log_lines_to(fds[1], 10);
	close(fds[1]);
}

static void test_what_was_lost_is_told_where_it_can_be(void)
{
	int fds[2];

	CHECK_EQ(pipe(fds), 0);
	log_lines_to(fds[1], 1);
	close(fds[1]);
	drain(fds[0]);
	close(fds[0]);
	/* Those from the test above, that nobody took. */
	CHECK(strstr(text, "10 lines of the log were lost") != NULL);
}

int main(void)
{
	log_open("test");
	RUN(test_a_full_pipe_is_not_waited_for);
	RUN(test_a_full_stream_socket_is_not_waited_for);
	RUN(test_a_closed_end_is_survived);
	RUN(test_what_was_lost_is_told_where_it_can_be);

	return TEST_RESULT();
}
