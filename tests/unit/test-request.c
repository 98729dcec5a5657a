/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One question at a time, each with exactly one end, whatever the hook does. */

#include "tests/unit/hook-fixture.h"

#include <errno.h>

/* Long enough not to matter. */
#define NEVER_USEC 3600000000
/* Short enough to wait for. */
#define SOON_USEC 1000

static struct fixture *member_new(void)
{
	struct fixture *f = fixture_new();

	fixture_say_hello(f);
	CHECK_EQ(f->n_hello, 1);
	return f;
}

static int ask_stats(struct fixture *f, uint32_t flags, uint64_t timeout_usec)
{
	return request_stats(f->conn, flags, timeout_usec, fixture_on_done, f);
}

static int ask_reclaim(struct fixture *f, uint64_t timeout_usec)
{
	return request_reclaim(f->conn, &(struct reclaim){ .method = WIRE_METHOD_FULL }, timeout_usec, fixture_on_done,
			       f);
}

static int ask_tune(struct fixture *f, enum wire_knob knob, uint64_t value)
{
	return request_tune(f->conn, knob, value, NEVER_USEC, fixture_on_done, f);
}

static void answer_reclaim(struct fixture *f, uint64_t id, enum wire_status status)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, id, status);
	frame.reclaim_reply.method = WIRE_METHOD_FULL;
	frame.reclaim_reply.rss_before = 1000;
	frame.reclaim_reply.rss_after = 300;
	fixture_send_frame(f, &frame);
	fixture_settle(f);
}

static void answer_tune(struct fixture *f, uint64_t id, enum wire_status status,
			uint32_t knob)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_TUNE, id, status);
	frame.tune_reply.knob = knob;
	frame.tune_reply.value = knob > 0 ? 17 : 0;
	fixture_send_frame(f, &frame);
	fixture_settle(f);
}

static void answer_stats(struct fixture *f, uint64_t id)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, id, WIRE_OK);
	frame.stats.rss = 4096;
	fixture_send_frame(f, &frame);
	fixture_settle(f);
}

static void check_protocol(struct fixture *f)
{
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_PROTOCOL);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_GONE);
	CHECK(!f->has_answer);
	fixture_free(f);
}

static void test_each_question_reaches_the_hook(void)
{
	struct fixture *f = member_new();
	struct wire_frame frame;

	CHECK_EQ(ask_stats(f, WIRE_STATS_HEAP, NEVER_USEC), 0);
	frame = fixture_question(f);
	CHECK_EQ(frame.header.verb, WIRE_STATS);
	CHECK_EQ(frame.header.id, 1);
	CHECK_EQ(frame.stats_request.flags, WIRE_STATS_HEAP);
	answer_stats(f, 1);

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	frame = fixture_question(f);
	CHECK_EQ(frame.header.verb, WIRE_RECLAIM);
	CHECK_EQ(frame.header.id, 2);
	CHECK_EQ(frame.reclaim_request.method, WIRE_METHOD_FULL);
	answer_reclaim(f, 2, WIRE_OK);

	CHECK_EQ(ask_tune(f, WIRE_KNOB_TOP_PAD, 17), 0);
	frame = fixture_question(f);
	CHECK_EQ(frame.header.verb, WIRE_TUNE);
	CHECK_EQ(frame.header.id, 3);
	CHECK_EQ(frame.tune_request.knob, WIRE_KNOB_TOP_PAD);
	CHECK_EQ(frame.tune_request.value, 17);
	answer_tune(f, 3, WIRE_OK, WIRE_KNOB_TOP_PAD);

	CHECK_EQ(f->n_done, 3);
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);
}

static void test_the_answer_is_handed_on(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	CHECK_EQ(f->n_done, 0);
	answer_reclaim(f, 1, WIRE_OK);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK_EQ(f->answer.reclaim_reply.rss_before, 1000);
	CHECK_EQ(f->answer.reclaim_reply.rss_after, 300);
	CHECK_EQ(f->n_rows, 0);
	CHECK(!request_busy(f->conn));
	fixture_free(f);
}

static void test_a_refusal_is_an_answer(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_tune(f, WIRE_KNOB_TOP_PAD, 17), 0);
	answer_tune(f, 1, WIRE_REFUSED, 0);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK_EQ(f->answer.header.status, WIRE_REFUSED);
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);
}

static void test_one_question_at_a_time(void)
{
	struct fixture *f = member_new();

	CHECK(!request_busy(f->conn));
	CHECK_EQ(ask_stats(f, 0, NEVER_USEC), 0);
	CHECK(request_busy(f->conn));
	CHECK_EQ(ask_stats(f, 0, NEVER_USEC), -EBUSY);
	CHECK_EQ(ask_reclaim(f, NEVER_USEC), -EBUSY);
	CHECK_EQ(ask_tune(f, WIRE_KNOB_TOP_PAD, 1), -EBUSY);
	CHECK_EQ(fixture_question(f).header.id, 1);
	fixture_free(f);
}

static int overtake(struct fixture *f, uint64_t timeout_usec)
{
	return request_overtake(f->conn, &(struct reclaim){ .method = WIRE_METHOD_FULL },
				timeout_usec);
}

/* Borrowing is under way, and something faster is asked for. */
static struct fixture *overtaken_new(uint64_t timeout_usec)
{
	struct fixture *f = member_new();
	struct wire_frame frame;

	CHECK_EQ(request_reclaim(f->conn, &(struct reclaim){ .method = WIRE_METHOD_BORROW },
				 NEVER_USEC, fixture_on_done, f), 0);
	CHECK_EQ(fixture_question(f).header.id, 1);
	CHECK_EQ(overtake(f, timeout_usec), 0);
	frame = fixture_question(f);
	CHECK_EQ(frame.header.verb, WIRE_RECLAIM);
	CHECK_EQ(frame.header.id, 2);
	CHECK_EQ(frame.reclaim_request.method, WIRE_METHOD_FULL);
	return f;
}

static void test_a_release_can_be_overtaken_by_another(void)
{
	struct fixture *f = overtaken_new(NEVER_USEC);

	answer_reclaim(f, 1, WIRE_OK);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_OVERTAKEN);
	CHECK_EQ(f->answer.header.id, 1);
	CHECK(request_busy(f->conn));
	answer_reclaim(f, 2, WIRE_OK);
	CHECK_EQ(f->n_done, 2);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK_EQ(f->answer.header.id, 2);
	CHECK(!request_busy(f->conn));
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);
}

static void test_nothing_else_can_be_overtaken(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(overtake(f, NEVER_USEC), -EBUSY);
	CHECK_EQ(ask_stats(f, 0, NEVER_USEC), 0);
	CHECK_EQ(overtake(f, NEVER_USEC), -EBUSY);
	answer_stats(f, 1);
	fixture_free(f);

	/* And no release twice at a time. */
	f = overtaken_new(NEVER_USEC);
	CHECK_EQ(overtake(f, NEVER_USEC), -EBUSY);
	answer_reclaim(f, 1, WIRE_OK);
	CHECK_EQ(overtake(f, NEVER_USEC), 0);
	fixture_free(f);
}

static void test_who_answers_in_another_order_is_closed(void)
{
	struct fixture *f = overtaken_new(NEVER_USEC);

	answer_reclaim(f, 2, WIRE_OK);
	check_protocol(f);
	f = overtaken_new(NEVER_USEC);
	answer_tune(f, 1, WIRE_OK, WIRE_KNOB_TOP_PAD);
	check_protocol(f);
	f = overtaken_new(NEVER_USEC);
	answer_reclaim(f, 1, WIRE_OK);
	answer_reclaim(f, 1, WIRE_OK);
	CHECK_EQ(f->end, CONN_PROTOCOL);
	CHECK_EQ(f->n_done, 2);
	CHECK_EQ(f->done, REQUEST_GONE);
	fixture_free(f);
}

static void test_of_two_that_come_too_late_both_are_dropped(void)
{
	struct fixture *f = overtaken_new(SOON_USEC);

	fixture_wait(f, &f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_TIMED_OUT);
	answer_reclaim(f, 1, WIRE_OK);
	CHECK(request_busy(f->conn));
	answer_reclaim(f, 2, WIRE_OK);
	CHECK(!request_busy(f->conn));
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);
}

static void test_who_goes_in_between_is_gone_once(void)
{
	struct fixture *f = overtaken_new(NEVER_USEC);

	f->free_in_done = true;
	answer_reclaim(f, 1, WIRE_OK);
	CHECK_EQ(f->n_done, 2);
	CHECK_EQ(f->done, REQUEST_GONE);
	fixture_free(f);
}

static void test_nothing_can_be_asked_before_hello(void)
{
	struct fixture *f = fixture_new();

	CHECK_EQ(ask_stats(f, 0, NEVER_USEC), -ENOTCONN);
	CHECK_EQ(ask_reclaim(f, NEVER_USEC), -ENOTCONN);
	CHECK_EQ(ask_tune(f, WIRE_KNOB_TOP_PAD, 1), -ENOTCONN);
	CHECK(!request_busy(f->conn));
	fixture_free(f);
}

static void test_nothing_can_be_asked_after_the_end(void)
{
	struct fixture *f = member_new();

	f->ask_in_end = true;
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->ask_result, -ENOTCONN);
	CHECK_EQ(f->n_done, 0);
	fixture_free(f);
}

static void test_asking_who_has_hung_up_fails_and_ends_in_the_loop(void)
{
	struct fixture *f = member_new();

	fixture_hang_up(f);
	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), -EPIPE);
	CHECK_EQ(f->n_end, 0);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_HANGUP);
	CHECK_EQ(f->n_done, 0);
	fixture_free(f);
}

static void test_it_can_be_asked_in_on_hello(void)
{
	struct fixture *f = fixture_new();

	f->ask_in_hello = true;
	fixture_say_hello(f);
	CHECK_EQ(f->ask_result, 0);
	answer_tune(f, 1, WIRE_OK, WIRE_KNOB_ARENA_MAX);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	fixture_free(f);
}

static void test_a_question_of_a_declined_member_is_gone(void)
{
	struct fixture *f = fixture_new();

	f->ask_in_hello = true;
	f->hello_result = -EPERM;
	fixture_say_hello(f);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_GONE);
	CHECK_EQ(f->n_stillborn, 1);
	CHECK_EQ(f->n_done_at_end, 1);
	fixture_free(f);
}

static void test_it_can_be_asked_again_from_the_answer(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, 0, NEVER_USEC), 0);
	f->ask_in_done = true;
	answer_stats(f, 1);
	CHECK_EQ(f->ask_result, 0);
	CHECK(request_busy(f->conn));

	f->ask_in_done = false;
	answer_reclaim(f, 2, WIRE_OK);
	CHECK_EQ(f->n_done, 2);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	fixture_free(f);
}

static void test_no_answer_in_time_is_a_timeout(void)
{
	struct fixture *f = member_new();

	f->ask_in_done = true;
	CHECK_EQ(ask_reclaim(f, SOON_USEC), 0);
	fixture_wait(f, &f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_TIMED_OUT);
	CHECK(!f->has_answer);
	/* It may still be at work. */
	CHECK_EQ(f->ask_result, -EBUSY);
	CHECK(request_busy(f->conn));
	CHECK_EQ(ask_reclaim(f, NEVER_USEC), -EBUSY);
	fixture_free(f);
}

static void test_a_late_answer_is_dropped_and_makes_free(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, SOON_USEC), 0);
	fixture_wait(f, &f->n_done, 1);
	answer_reclaim(f, 1, WIRE_OK);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->n_end, 0);
	CHECK_EQ(f->conn->question.n_late, 1);
	CHECK(!request_busy(f->conn));

	(void)fixture_question(f);
	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	CHECK_EQ(fixture_question(f).header.id, 2);
	answer_reclaim(f, 2, WIRE_OK);
	CHECK_EQ(f->n_done, 2);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	fixture_free(f);
}

static void test_a_late_answer_comes_only_once(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, SOON_USEC), 0);
	fixture_wait(f, &f->n_done, 1);
	answer_reclaim(f, 1, WIRE_OK);
	answer_reclaim(f, 1, WIRE_OK);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_PROTOCOL);
	fixture_free(f);
}

static void test_hanging_up_after_a_timeout_ends_nothing_twice(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, SOON_USEC), 0);
	fixture_wait(f, &f->n_done, 1);
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_HANGUP);
	fixture_free(f);
}

static void test_an_answer_that_waits_at_the_deadline_counts(void)
{
	struct fixture *f = member_new();
	struct wire_frame frame;

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, 1, WIRE_OK);
	frame.reclaim_reply.method = WIRE_METHOD_FULL;
	fixture_send_frame(f, &frame);
	fixture_strike_first(f);
	CHECK_EQ(f->n_done, 0);
	fixture_settle(f);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	fixture_free(f);
}

static void test_hanging_up_ends_the_question_before_the_member(void)
{
	struct fixture *f = member_new();

	f->ask_in_done = true;
	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_GONE);
	CHECK_EQ(f->ask_result, -ENOTCONN);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->n_done_at_end, 1);
	fixture_free(f);
}

static void test_an_answer_sent_before_hanging_up_counts(void)
{
	struct fixture *f = member_new();
	struct wire_frame frame;

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	(void)fixture_question(f);
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, 1, WIRE_OK);
	frame.reclaim_reply.method = WIRE_METHOD_FULL;
	fixture_send_frame(f, &frame);
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK_EQ(f->n_end, 1);
	fixture_free(f);
}

static void test_freeing_ends_the_question(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	f->conn = conn_free(f->conn);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_GONE);
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);
}

static void test_it_may_be_freed_from_every_end(void)
{
	struct fixture *f;

	f = member_new();
	f->free_in_done = true;
	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK(f->conn == NULL);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);

	f = member_new();
	f->free_in_done = true;
	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, SOON_USEC), 0);
	fixture_wait(f, &f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_TIMED_OUT);
	fixture_settle(f);
	CHECK_EQ(f->n_end, 0);
	CHECK_EQ(f->n_done, 1);
	fixture_free(f);

	f = member_new();
	f->free_in_done = true;
	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	fixture_hang_up(f);
	fixture_settle(f);
	CHECK_EQ(f->done, REQUEST_GONE);
	CHECK_EQ(f->n_end, 0);
	CHECK_EQ(f->n_done, 1);
	fixture_free(f);

	f = member_new();
	f->free_in_done = true;
	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	conn_free(f->conn);
	CHECK_EQ(f->n_done, 1);
	fixture_free(f);
}

static void test_another_id_is_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	answer_reclaim(f, 2, WIRE_OK);
	check_protocol(f);
}

static void test_an_old_id_is_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	answer_reclaim(f, 1, WIRE_OK);
	f->n_done = 0;
	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	answer_reclaim(f, 1, WIRE_OK);
	check_protocol(f);
}

static void test_another_verb_is_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	answer_stats(f, 1);
	check_protocol(f);
}

static void test_another_knob_is_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_tune(f, WIRE_KNOB_TOP_PAD, 17), 0);
	answer_tune(f, 1, WIRE_OK, WIRE_KNOB_ARENA_MAX);
	check_protocol(f);
}

static void test_hello_is_no_answer(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_reclaim(f, NEVER_USEC), 0);
	fixture_say_hello(f);
	check_protocol(f);
}

int main(void)
{
	RUN(test_each_question_reaches_the_hook);
	RUN(test_the_answer_is_handed_on);
	RUN(test_a_refusal_is_an_answer);
	RUN(test_a_release_can_be_overtaken_by_another);
	RUN(test_nothing_else_can_be_overtaken);
	RUN(test_who_answers_in_another_order_is_closed);
	RUN(test_of_two_that_come_too_late_both_are_dropped);
	RUN(test_who_goes_in_between_is_gone_once);
	RUN(test_one_question_at_a_time);
	RUN(test_nothing_can_be_asked_before_hello);
	RUN(test_nothing_can_be_asked_after_the_end);
	RUN(test_asking_who_has_hung_up_fails_and_ends_in_the_loop);
	RUN(test_it_can_be_asked_in_on_hello);
	RUN(test_a_question_of_a_declined_member_is_gone);
	RUN(test_it_can_be_asked_again_from_the_answer);
	RUN(test_no_answer_in_time_is_a_timeout);
	RUN(test_a_late_answer_is_dropped_and_makes_free);
	RUN(test_a_late_answer_comes_only_once);
	RUN(test_hanging_up_after_a_timeout_ends_nothing_twice);
	RUN(test_an_answer_that_waits_at_the_deadline_counts);
	RUN(test_hanging_up_ends_the_question_before_the_member);
	RUN(test_an_answer_sent_before_hanging_up_counts);
	RUN(test_freeing_ends_the_question);
	RUN(test_it_may_be_freed_from_every_end);
	RUN(test_another_id_is_refused);
	RUN(test_an_old_id_is_refused);
	RUN(test_another_verb_is_refused);
	RUN(test_another_knob_is_refused);
	RUN(test_hello_is_no_answer);
	return TEST_RESULT();
}
