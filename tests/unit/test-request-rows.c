/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Answers that come in several frames: statistics with one row for each arena. */

#include "tests/unit/hook-fixture.h"

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

static void answer_stats(struct fixture *f, uint64_t id, uint32_t n_arena_frames)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, id, WIRE_OK);
	frame.stats.rss = 4096;
	frame.stats.n_arena_frames = n_arena_frames;
	fixture_send_frame(f, &frame);
	fixture_settle(f);
}

/* Rows are numbered, so that their order shows. */
static void answer_rows(struct fixture *f, uint64_t id, uint32_t first, uint32_t n)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_ARENA, id, WIRE_OK);
	frame.arenas.first = first;
	frame.arenas.n_rows = n;
	for (uint32_t i = 0; i < n; i++)
		frame.arenas.rows[i].nr = first + i;
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

static void test_rows_are_collected(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1, 3);
	answer_rows(f, 1, 0, 3);
	answer_rows(f, 1, 3, 3);
	CHECK_EQ(f->n_done, 0);
	answer_rows(f, 1, 6, 1);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK_EQ(f->answer.header.verb, WIRE_STATS);
	CHECK_EQ(f->answer.stats.rss, 4096);
	CHECK_EQ(f->n_rows, 7);
	for (size_t i = 0; i < f->n_rows; i++)
		CHECK_EQ(f->rows[i].nr, i);
	CHECK(!request_busy(f->conn));
	fixture_free(f);
}

static void test_there_may_be_no_rows(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1, 0);
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK_EQ(f->answer.stats.rss, 4096);
	CHECK_EQ(f->n_rows, 0);
	fixture_free(f);
}

static void test_rows_of_the_next_question_start_anew(void)
{
	struct fixture *f = member_new();

	for (uint64_t id = 1; id <= 3; id++) {
		CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
		answer_stats(f, id, 1);
		answer_rows(f, id, 0, 2);
		CHECK_EQ(f->n_done, id);
		CHECK_EQ(f->n_rows, 2);
	}
	fixture_free(f);
}

static void test_no_more_than_256_rows_are_kept(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1, 4096);
	for (uint32_t i = 0; i < 4096; i++) {
		CHECK_EQ(f->n_done, 0);
		answer_rows(f, 1, i * WIRE_ROWS, WIRE_ROWS);
	}
	CHECK_EQ(f->done, REQUEST_ANSWERED);
	CHECK_EQ(f->n_rows, 256);
	CHECK_EQ(f->rows[255].nr, 255);
	fixture_free(f);
}

static void test_rows_nobody_asked_for_are_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_HEAP, NEVER_USEC), 0);
	answer_stats(f, 1, 1);
	check_protocol(f);
}

static void test_rows_before_the_totals_are_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_rows(f, 1, 0, 1);
	check_protocol(f);
}

static void test_a_gap_in_the_rows_is_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1, 2);
	answer_rows(f, 1, 0, 3);
	answer_rows(f, 1, 4, 3);
	check_protocol(f);
}

static void test_other_frames_between_the_rows_are_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1, 2);
	answer_stats(f, 1, 2);
	check_protocol(f);
}

static void test_more_rows_than_announced_are_refused(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1, 1);
	answer_rows(f, 1, 0, 3);
	CHECK_EQ(f->n_done, 1);
	answer_rows(f, 1, 3, 3);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->n_end, 1);
	CHECK_EQ(f->end, CONN_PROTOCOL);
	fixture_free(f);
}

static void test_a_deadline_amid_the_rows_drops_all_of_them(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, NEVER_USEC), 0);
	answer_stats(f, 1, 2);
	answer_rows(f, 1, 0, 3);
	conn_arm(f->conn, SOON_USEC);
	fixture_wait(f, &f->n_done, 1);
	CHECK_EQ(f->done, REQUEST_TIMED_OUT);
	CHECK(request_busy(f->conn));

	answer_rows(f, 1, 3, 3);
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->n_end, 0);
	CHECK(!request_busy(f->conn));
	fixture_free(f);
}

static void test_a_late_answer_with_rows_is_dropped_whole(void)
{
	struct fixture *f = member_new();

	CHECK_EQ(ask_stats(f, WIRE_STATS_ARENAS, SOON_USEC), 0);
	fixture_wait(f, &f->n_done, 1);
	answer_stats(f, 1, 1);
	CHECK(request_busy(f->conn));
	answer_rows(f, 1, 0, 3);
	CHECK(!request_busy(f->conn));
	CHECK_EQ(f->n_done, 1);
	CHECK_EQ(f->n_end, 0);
	fixture_free(f);
}

int main(void)
{
	RUN(test_rows_are_collected);
	RUN(test_there_may_be_no_rows);
	RUN(test_rows_of_the_next_question_start_anew);
	RUN(test_no_more_than_256_rows_are_kept);
	RUN(test_rows_nobody_asked_for_are_refused);
	RUN(test_rows_before_the_totals_are_refused);
	RUN(test_a_gap_in_the_rows_is_refused);
	RUN(test_other_frames_between_the_rows_are_refused);
	RUN(test_more_rows_than_announced_are_refused);
	RUN(test_a_deadline_amid_the_rows_drops_all_of_them);
	RUN(test_a_late_answer_with_rows_is_dropped_whole);
	return TEST_RESULT();
}
