/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* core/exec: the daemon's end. The test is the helper, or has a real one started. */

#include "agent/core/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/core/helper.h"
#include "tests/unit/test.h"

static sd_event *event;
static struct exec *exec;
static int peer = -1;
static bool calm;
static int n_asked;

static bool is_calm(void *userdata)
{
	(void)userdata;
	n_asked++;
	return calm;
}

static uint64_t reclaimed_key;
static int reclaimed_error;

static void on_reclaimed(uint64_t key, int error, void *userdata)
{
	(void)userdata;
	reclaimed_key = key;
	reclaimed_error = error;
}

static const struct exec_handler handler = { is_calm, on_reclaimed };

static void settle(void)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void connect_peer(void)
{
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	CHECK(exec_connect(exec, fds[0]) >= 0);
	peer = fds[1];
}

static void begin(void)
{
	calm = false;
	n_asked = 0;
	CHECK_EQ(exec_new(event, &handler, NULL, &exec), 0);
	connect_peer();
}

static void end(void)
{
	exec = exec_free(exec);
	peer = fd_close(peer);
}

static int call(uint64_t key)
{
	return exec_run(exec, &(struct exec_call){ key, "a.service", "/bin/x y", "A=b\n" });
}

static struct helper_request hear(void)
{
	struct helper_request request = { 0 };

	CHECK_EQ(recv(peer, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC), sizeof(request));
	return request;
}

static void answer(struct helper_answer text)
{
	text.magic += HELPER_MAGIC;
	CHECK_EQ(send(peer, &text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
	settle();
}

static bool is_closed(void)
{
	struct helper_request request;
	ssize_t n;

	while ((n = recv(peer, &request, sizeof(request), MSG_DONTWAIT)) > 0)
		;

	return n == 0;
}

static void test_a_request_says_all(void)
{
	struct helper_request request;

	begin();
	CHECK(!exec_is_ready(exec));
	answer((struct helper_answer){ .event = HELPER_READY });
	CHECK(exec_is_ready(exec));
	CHECK_EQ(call(1), 0);
	request = hear();
	CHECK_EQ(request.magic, HELPER_MAGIC);
	CHECK(request.number != 0);
	CHECK_STR(request.line, "/bin/x y");
	CHECK_STR(request.environment, "A=b\n");
	end();
}

static void test_one_at_a_time_for_a_group(void)
{
	uint32_t number;

	begin();
	CHECK_EQ(call(1), 0);
	number = hear().number;
	CHECK_EQ(call(1), -EALREADY);
	CHECK_EQ(call(2), 0);
	CHECK(hear().number != number);
	answer((struct helper_answer){ .event = HELPER_ENDED, .number = number, .status = 0x300 });
	CHECK_EQ(call(1), 0);
	CHECK_EQ(call(2), -EALREADY);
	answer((struct helper_answer){
		.event = HELPER_FAILED, .number = hear().number, .error = -ENOENT });
	CHECK_EQ(call(1), 0);
	CHECK_EQ(exec_n_lost(exec), 1);
	end();
}

/* The request, and whether a descriptor came along that is the same file as @fd. */
static struct helper_request hear_reclaim(int fd)
{
	struct helper_request request = { 0 };
	char room[CMSG_SPACE(sizeof(int))];
	struct iovec part = { &request, sizeof(request) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct stat ours, theirs;
	int along_fd;

	CHECK_EQ(recvmsg(peer, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), sizeof(request));
	CHECK(CMSG_FIRSTHDR(&message) != NULL);
	memcpy(&along_fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(along_fd));
	CHECK_EQ(fstat(fd, &ours), 0);
	CHECK_EQ(fstat(along_fd, &theirs), 0);
	CHECK_EQ(ours.st_ino, theirs.st_ino);
	(void)close(along_fd);
	return request;
}

static void test_the_kernel_reclaims_beside_a_command(void)
{
	const int fd = memfd_create("reclaim", MFD_CLOEXEC);
	struct helper_request request;

	begin();
	CHECK_EQ(call(1), 0);
	(void)hear();
	CHECK_EQ(exec_reclaim(exec, 1, "a", fd, MIB), 0);
	request = hear_reclaim(fd);
	CHECK_EQ(request.reclaim_bytes, MIB);
	CHECK_STR(request.line, "");
	CHECK_STR(request.environment, "");
	CHECK_EQ(exec_reclaim(exec, 1, "a", fd, MIB), -EALREADY);
	CHECK_EQ(reclaimed_key, 0);
	answer((struct helper_answer){ .event = HELPER_ENDED, .number = request.number,
				       .status = EAGAIN << 8 });
	CHECK_EQ(reclaimed_key, 1);
	CHECK_EQ(reclaimed_error, EAGAIN);

	CHECK_EQ(exec_reclaim(exec, 7, "a", fd, MIB), 0);
	answer((struct helper_answer){ .event = HELPER_FAILED, .number = hear_reclaim(fd).number,
				       .error = -EAGAIN });
	CHECK_EQ(reclaimed_key, 7);
	CHECK_EQ(reclaimed_error, EBUSY);
	/* They are no commands. */
	CHECK_EQ(exec_n_lost(exec), 0);

	/* Of whose end nobody will hear. */
	CHECK_EQ(exec_reclaim(exec, 8, "a", fd, MIB), 0);
	exec_want(exec, true);
	exec_want(exec, false);
	CHECK_EQ(reclaimed_key, 8);
	CHECK_EQ(reclaimed_error, ECHILD);
	CHECK_EQ(exec_n_lost(exec), 1);
	end();
	(void)close(fd);
}

static void test_reclaims_leave_places_to_commands(void)
{
	const int fd = memfd_create("reclaim", MFD_CLOEXEC);

	begin();
	/* To the helper that would be a command that makes no sense. */
	CHECK_EQ(exec_reclaim(exec, 1, "a", fd, 0), -EINVAL);
	for (uint64_t i = 1; i <= HELPER_RECLAIMS_MAX; i++) {
		CHECK_EQ(exec_reclaim(exec, i, "a", fd, MIB), 0);
		(void)hear_reclaim(fd);
	}
	CHECK_EQ(exec_reclaim(exec, 99, "a", fd, MIB), -EBUSY);
	for (uint64_t i = 1; i <= HELPER_RUNS_MAX - HELPER_RECLAIMS_MAX; i++)
		CHECK_EQ(call(i), 0);
	CHECK_EQ(call(99), -EBUSY);
	end();
	(void)close(fd);
}

static void test_no_more_than_the_helper_takes(void)
{
	begin();
	for (uint64_t i = 1; i <= HELPER_RUNS_MAX; i++) {
		CHECK_EQ(call(i), 0);
		(void)hear();
	}
	CHECK_EQ(call(99), -EBUSY);
	CHECK_EQ(exec_n_lost(exec), 1);
	end();
}

static void test_a_full_socket_is_not_waited_for(void)
{
	uint64_t i = 1;
	int r;

	begin();
	/* Few of them fit, and nobody reads. */
	exec = exec_free(exec);
	{
		const int size = 1;
		int fds[2];

		CHECK_EQ(exec_new(event, &handler, NULL, &exec), 0);
		peer = fd_close(peer);
		CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
		CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
		CHECK(exec_connect(exec, fds[0]) >= 0);
		peer = fds[1];
	}
	while ((r = call(i)) == 0 && i < HELPER_RUNS_MAX)
		i++;
	CHECK(r == -EAGAIN || r == -EMSGSIZE);
	CHECK_EQ(exec_n_lost(exec), 1);
	/* It is not taken to run. */
	CHECK_EQ(call(i), r);
	end();
}

static void breaks_off(const void *bytes, size_t size)
{
	begin();
	CHECK_EQ(call(1), 0);
	CHECK_EQ(send(peer, bytes, size, 0), size);
	settle();
	CHECK(is_closed());
	CHECK_EQ(exec_n_lost(exec), 1);
	CHECK_EQ(call(1), -ENOTCONN);
	CHECK_EQ(exec_n_lost(exec), 2);
	end();
}

static void test_answers_that_make_no_sense_end_it(void)
{
	const struct helper_answer good = { .magic = HELPER_MAGIC, .event = HELPER_ENDED, .number = 1 };
	struct helper_answer bad;
	char long_one[sizeof(good) + 1] = { 0 };

	breaks_off("x", 1);
	memcpy(long_one, &good, sizeof(good));
	breaks_off(long_one, sizeof(long_one));
	bad = good;
	bad.magic++;
	breaks_off(&bad, sizeof(bad));
	bad = good;
	bad.event = HELPER_EVENT_MAX_;
	breaks_off(&bad, sizeof(bad));
	bad = good;
	bad.number = 2;
	breaks_off(&bad, sizeof(bad));
	bad = good;
	bad.number = 0;
	breaks_off(&bad, sizeof(bad));
	bad = good;
	bad.event = HELPER_READY;
	breaks_off(&bad, sizeof(bad));
	bad = good;
	bad.event = HELPER_FAILED;
	bad.error = 5;
	breaks_off(&bad, sizeof(bad));
}

static void test_what_is_too_long_is_refused(void)
{
	static char text[HELPER_ENVIRONMENT_MAX + 1];

	begin();
	memset(text, 'x', sizeof(text) - 1);
	CHECK_EQ(exec_run(exec, &(struct exec_call){ 1, "a", "/bin/x", text }), -EMSGSIZE);
	CHECK_EQ(exec_run(exec, &(struct exec_call){ 1, "a", text, "" }), -EMSGSIZE);
	CHECK_EQ(call(1), 0);
	end();
}

static void test_none_is_left_when_none_is_wanted(void)
{
	begin();
	exec_want(exec, true);
	exec_want(exec, false);
	CHECK(is_closed());
	CHECK_EQ(call(1), -ENOTCONN);
	end();
}

static void test_one_that_ended_is_replaced_when_all_is_calm(void)
{
	begin();
	exec_want(exec, true);
	CHECK_EQ(call(1), 0);
	peer = fd_close(peer);
	settle();
	CHECK_EQ(call(1), -ENOTCONN);
	while (n_asked < 2)
		CHECK(sd_event_run(event, UINT64_MAX) >= 0);
	CHECK_EQ(call(1), -ENOTCONN);
	calm = true;
	/* A real one: see main(). */
	while (!exec_is_ready(exec))
		CHECK(sd_event_run(event, UINT64_MAX) >= 0);

	CHECK_EQ(exec_run(exec, &(struct exec_call){ 1, "a", "/bin/true", "" }), 0);
	while (exec_run(exec, &(struct exec_call){ 1, "a", "/bin/true", "" }) == -EALREADY)
		CHECK(sd_event_run(event, UINT64_MAX) >= 0);
	end();
}

int main(int argc, char **argv)
{
	sigset_t mask;

	if (helper_is_wanted(argc, argv))
		return helper_main();

	log_open("test-exec");
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	if (sd_event_default(&event) < 0)
		return 1;

	RUN(test_a_request_says_all);
	RUN(test_one_at_a_time_for_a_group);
	RUN(test_the_kernel_reclaims_beside_a_command);
	RUN(test_reclaims_leave_places_to_commands);
	RUN(test_no_more_than_the_helper_takes);
	RUN(test_a_full_socket_is_not_waited_for);
	RUN(test_answers_that_make_no_sense_end_it);
	RUN(test_what_is_too_long_is_refused);
	RUN(test_none_is_left_when_none_is_wanted);
	RUN(test_one_that_ended_is_replaced_when_all_is_calm);
	sd_event_unref(event);
	return TEST_RESULT();
}
