/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One connection, from HELLO to each of its ends. */

#include "tests/unit/hook-fixture.h"

#include <errno.h>
#include <fcntl.h>

static void test_hello_makes_a_member(void)
{
	struct fixture *f = fixture_new();

	CHECK_EQ(conn_pid(f->conn), FIXTURE_PID);
	CHECK_EQ(conn_uid(f->conn), FIXTURE_UID);
	CHECK(conn_userdata(f->conn) == f);

	fixture_say_hello(f);
	CHECK_EQ(f->n_hello, 1);
	CHECK_STR(f->hello.hook_version, "1.0");
	CHECK_EQ(f->n_end + f->n_stillborn, 0);
	fixture_free(f);
}

static void test_a_connection_is_small(void)
{
	CHECK(sizeof(struct conn) <= 600);
}

/* @size bytes instead of HELLO. */
static void check_stillborn(const void *bytes, size_t size, enum conn_end end)
{
	struct fixture *f = fixture_new();

	fixture_send(f, bytes, size);
	fixture_settle(f);
	CHECK_EQ(f->n_hello, 0);
	CHECK_EQ(f->n_end, 0);
	CHECK_EQ(f->n_stillborn, 1);
	CHECK_EQ(f->end, end);
	fixture_free(f);
}

static void test_half_a_frame_is_refused(void)
{
	const struct wire_frame frame = fixture_hello();

	check_stillborn(&frame, sizeof(frame) / 2, CONN_PROTOCOL);
	check_stillborn(&frame, sizeof(frame) - 1, CONN_PROTOCOL);
	check_stillborn(&frame, 1, CONN_PROTOCOL);
}

static void test_a_frame_and_a_byte_is_refused(void)
{
	unsigned char bytes[4 * WIRE_FRAME_BYTES] = { 0 };
	const struct wire_frame frame = fixture_hello();

	memcpy(bytes, &frame, sizeof(frame));
	check_stillborn(bytes, sizeof(frame) + 1, CONN_PROTOCOL);
	check_stillborn(bytes, sizeof(bytes), CONN_PROTOCOL);
}

static void test_an_empty_datagram_is_no_hang_up(void)
{
	check_stillborn("", 0, CONN_PROTOCOL);
}

static void test_garbage_is_refused(void)
{
	unsigned char bytes[WIRE_FRAME_BYTES];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 37 + 11);
	check_stillborn(bytes, sizeof(bytes), CONN_PROTOCOL);
}

static void test_the_first_frame_has_to_be_hello(void)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, 1, WIRE_OK);
	check_stillborn(&frame, sizeof(frame), CONN_PROTOCOL);
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_BYE, 0, WIRE_OK);
	check_stillborn(&frame, sizeof(frame), CONN_HANGUP);
}

static void test_a_question_from_a_hook_is_refused(void)
{
	struct fixture *f = fixture_new();
	struct wire_frame frame;

	fixture_say_hello(f);
	wire_init(&frame, WIRE_TO_HOOK, WIRE_RECLAIM, 1, WIRE_OK);
	frame.reclaim_request.method = WIRE_METHOD_FULL;
	fixture_send(f, &frame, sizeof(frame));
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_PROTOCOL);
	fixture_free(f);
}

static void test_silence_has_a_deadline(void)
{
	struct fixture *f = fixture_new();
	uint64_t timer_usec, now_usec;

	CHECK(sd_event_source_get_time(f->conn->loop->timer, &timer_usec) >= 0);
	CHECK(sd_event_now(f->event, CLOCK_MONOTONIC, &now_usec) >= 0);
	CHECK(f->conn->deadline_usec != 0);
	CHECK(f->conn->deadline_usec <= now_usec + 2000000);
	CHECK_EQ(timer_usec, f->conn->deadline_usec);

	fixture_settle(f);
	CHECK_EQ(f->n_stillborn, 0);

	conn_arm(f->conn, 1000);
	fixture_wait(f, &f->n_stillborn, 1);
	CHECK_EQ(f->end, CONN_SILENT);
	fixture_free(f);
}

static void test_hello_that_waits_at_the_deadline_counts(void)
{
	struct fixture *f = fixture_new();
	const struct wire_frame frame = fixture_hello();

	fixture_send_frame(f, &frame);
	fixture_strike_first(f);
	fixture_settle(f);
	CHECK_EQ(f->n_stillborn, 0);
	CHECK_EQ(f->n_hello, 1);
	fixture_free(f);
}

static void test_a_member_may_be_silent_for_ever(void)
{
	struct fixture *f = fixture_new();

	fixture_say_hello(f);
	CHECK_EQ(f->conn->deadline_usec, 0);
	CHECK(TAILQ_EMPTY(&f->conn->loop->armed));
	fixture_free(f);
}

static void test_hanging_up_before_hello_is_stillborn(void)
{
	struct fixture *f = fixture_new();

	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_stillborn, 1);
	CHECK_EQ(f->n_end, 0);
	CHECK_EQ(f->end, CONN_HANGUP);
	fixture_free(f);
}

static void test_who_is_gone_already_is_never_a_member(void)
{
	struct fixture *f = fixture_new();
	const struct wire_frame frame = fixture_hello();

	fixture_send_frame(f, &frame);
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_hello, 0);
	CHECK_EQ(f->n_stillborn, 1);
	CHECK_EQ(f->end, CONN_HANGUP);
	fixture_free(f);
}

static void test_hanging_up_ends_a_member_once(void)
{
	struct fixture *f = fixture_new();

	fixture_say_hello(f);
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->n_stillborn, 0);
	CHECK_EQ(f->end, CONN_HANGUP);
	/* The descriptor is closed with it. */
	CHECK_EQ(fcntl(f->daemon, F_GETFD), -1);
	fixture_free(f);
}

static void test_closing_one_direction_is_hanging_up(void)
{
	struct fixture *f = fixture_new();

	fixture_say_hello(f);
	CHECK_EQ(shutdown(f->peer, SHUT_WR), 0);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_HANGUP);
	fixture_free(f);
}

static void test_bye_is_hanging_up(void)
{
	struct fixture *f = fixture_new();
	struct wire_frame frame;

	fixture_say_hello(f);
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_BYE, 0, WIRE_OK);
	fixture_send_frame(f, &frame);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_HANGUP);
	fixture_free(f);
}

static void test_a_second_hello_is_refused(void)
{
	struct fixture *f = fixture_new();

	fixture_say_hello(f);
	fixture_say_hello(f);
	CHECK_EQ(f->n_hello, 1);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_PROTOCOL);
	fixture_free(f);
}

static void test_an_answer_nobody_asked_for_is_refused(void)
{
	static const enum wire_verb verbs[] = { WIRE_STATS, WIRE_ARENA, WIRE_RECLAIM,
						WIRE_TUNE };

	for (size_t i = 0; i < 4; i++) {
		struct fixture *f = fixture_new();
		struct wire_frame frame;

		fixture_say_hello(f);
		wire_init(&frame, WIRE_TO_DAEMON, verbs[i], 1, WIRE_OK);
		frame.bytes[verbs[i] == WIRE_ARENA ? 4 : 0] = 1;
		fixture_send_frame(f, &frame);
		fixture_settle(f);
		CHECK_EQ(f->n_end, 1);
		CHECK_EQ(f->end, CONN_PROTOCOL);
		fixture_free(f);
	}
}

static void test_a_flood_ends_with_its_first_frame(void)
{
	struct fixture *f = fixture_new();
	struct wire_frame frame;

	fixture_say_hello(f);
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, 1, WIRE_OK);
	while (send(f->peer, &frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_PROTOCOL);
	fixture_free(f);
}

static void test_a_declined_hello_is_stillborn(void)
{
	struct fixture *f = fixture_new();

	f->hello_result = -ENOENT;
	fixture_say_hello(f);
	CHECK_EQ(f->n_hello, 1);
	CHECK_EQ(f->n_stillborn, 1);
	CHECK_EQ(f->n_end, 0);
	CHECK_EQ(f->end, CONN_DECLINED);
	/* The hook sees it. */
	CHECK_EQ(recv(f->peer, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	fixture_free(f);
}

static void test_who_is_found_to_be_gone_ends_from_the_loop(void)
{
	struct fixture *f = fixture_new();

	fixture_say_hello(f);
	CHECK_EQ(request_stats(f->conn, 0, 60000000, fixture_on_done, f), 0);
	conn_hang_up(f->conn);
	conn_hang_up(f->conn);
	CHECK_EQ(f->n_done + f->n_end, 0);
	CHECK_EQ(request_tune(f->conn, WIRE_KNOB_TOP_PAD, 1, 60000000, fixture_on_done, f), -ENOTCONN);
	fixture_settle(f);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_GONE);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_HANGUP);
	fixture_free(f);
}

static void test_free_calls_nobody(void)
{
	struct fixture *f = fixture_new();

	fixture_say_hello(f);
	f->conn = conn_free(f->conn);
	fixture_settle(f);
	CHECK(f->conn == NULL);
	CHECK_EQ(f->n_end + f->n_stillborn + f->n_done, 0);
	CHECK_EQ(recv(f->peer, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	CHECK(conn_free(NULL) == NULL);
	fixture_free(f);
}

static void test_it_may_be_freed_in_on_hello(void)
{
	for (int result = -EPERM; result <= 0; result += EPERM) {
		struct fixture *f = fixture_new();

		f->free_in_hello = true;
		f->hello_result = result;
		fixture_say_hello(f);
		CHECK_EQ(f->n_hello, 1);
		CHECK_EQ(f->n_end + f->n_stillborn, 0);
		fixture_free(f);
	}
}

static void test_it_may_be_freed_in_on_end(void)
{
	struct fixture *f = fixture_new();

	f->free_in_end = true;
	fixture_say_hello(f);
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	fixture_free(f);
}

static void test_it_may_be_freed_in_on_stillborn(void)
{
	struct fixture *f = fixture_new();

	f->free_in_end = true;
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_stillborn, 1);
	fixture_free(f);
}

static void send_with_descriptor(struct fixture *f, int fd)
{
	struct wire_frame frame = fixture_hello();
	struct iovec iov = { .iov_base = &frame, .iov_len = sizeof(frame) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = {
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS,
			      .cmsg_len = CMSG_LEN(sizeof(int)),
		      } };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(f->peer, &message, 0), sizeof(frame));
}

static void test_a_passed_descriptor_is_dropped(void)
{
	struct fixture *f = fixture_new();
	int fds[2];

	CHECK_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	send_with_descriptor(f, fds[1]);
	close(fds[1]);
	CHECK_EQ(read(fds[0], &(char){ 0 }, 1), -1);

	fixture_settle(f);
	CHECK_EQ(f->n_hello, 1);
	/* End of file: no writer is left, so nobody holds it. */
	CHECK_EQ(read(fds[0], &(char){ 0 }, 1), 0);
	close(fds[0]);
	fixture_free(f);
}

static void test_a_peer_that_does_not_read_is_ended_by_the_loop(void)
{
	struct fixture *f = fixture_new();
	const char byte = 0;

	fixture_say_hello(f);
	while (send(f->daemon, &byte, 1, MSG_DONTWAIT) > 0)
		;

	CHECK_EQ(request_stats(f->conn, 0, 60000000, fixture_on_done, f), -EPIPE);
	CHECK_EQ(f->n_end, 0);
	CHECK_EQ(request_stats(f->conn, 0, 60000000, fixture_on_done, f), -ENOTCONN);

	fixture_wait(f, &f->n_end, 1);
	CHECK_EQ(f->end, CONN_FULL);
	CHECK_EQ(f->n_done, 0);
	fixture_free(f);
}

static void test_a_full_connection_may_be_freed_before_the_loop_ends_it(void)
{
	struct fixture *f = fixture_new();
	const char byte = 0;

	fixture_say_hello(f);
	while (send(f->daemon, &byte, 1, MSG_DONTWAIT) > 0)
		;
	CHECK_EQ(request_stats(f->conn, 0, 60000000, fixture_on_done, f), -EPIPE);
	f->conn = conn_free(f->conn);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);
}

static void test_a_failed_start_leaves_the_descriptor_alone(void)
{
	static const struct conn_handler handler = {
		.on_hello = fixture_on_hello,
		.on_end = fixture_on_end,
	};
	struct conn *conn = NULL;
	sd_event *event = NULL;
	int fd;

	/* The loop cannot wait for a regular file. */
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CHECK(sd_event_new(&event) >= 0);
	CHECK_EQ(conn_new(event, fd, 1, 1, &handler, &conn), -EPERM);
	CHECK(conn == NULL);
	CHECK(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	sd_event_unref(event);
}

static void test_every_end_has_its_own_words(void)
{
	for (int i = CONN_HANGUP; i <= CONN_DECLINED; i++)
		for (int j = CONN_HANGUP; j < i; j++)
			CHECK(strcmp(conn_end_to_string((enum conn_end)i),
				     conn_end_to_string((enum conn_end)j)) != 0);
}

int main(void)
{
	RUN(test_hello_makes_a_member);
	RUN(test_a_connection_is_small);
	RUN(test_half_a_frame_is_refused);
	RUN(test_a_frame_and_a_byte_is_refused);
	RUN(test_an_empty_datagram_is_no_hang_up);
	RUN(test_garbage_is_refused);
	RUN(test_the_first_frame_has_to_be_hello);
	RUN(test_a_question_from_a_hook_is_refused);
	RUN(test_silence_has_a_deadline);
	RUN(test_hello_that_waits_at_the_deadline_counts);
	RUN(test_a_member_may_be_silent_for_ever);
	RUN(test_hanging_up_before_hello_is_stillborn);
	RUN(test_who_is_gone_already_is_never_a_member);
	RUN(test_hanging_up_ends_a_member_once);
	RUN(test_closing_one_direction_is_hanging_up);
	RUN(test_bye_is_hanging_up);
	RUN(test_a_second_hello_is_refused);
	RUN(test_an_answer_nobody_asked_for_is_refused);
	RUN(test_a_flood_ends_with_its_first_frame);
	RUN(test_a_declined_hello_is_stillborn);
	RUN(test_who_is_found_to_be_gone_ends_from_the_loop);
	RUN(test_free_calls_nobody);
	RUN(test_it_may_be_freed_in_on_hello);
	RUN(test_it_may_be_freed_in_on_end);
	RUN(test_it_may_be_freed_in_on_stillborn);
	RUN(test_a_passed_descriptor_is_dropped);
	RUN(test_a_peer_that_does_not_read_is_ended_by_the_loop);
	RUN(test_a_full_connection_may_be_freed_before_the_loop_ends_it);
	RUN(test_a_failed_start_leaves_the_descriptor_alone);
	RUN(test_every_end_has_its_own_words);
	return TEST_RESULT();
}
