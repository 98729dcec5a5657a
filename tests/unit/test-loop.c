/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* hook/loop: what connections share must let none of them disturb another. */

#include <errno.h>

#include "agent/basic/macro.h"
#include "tests/unit/hook-fixture.h"

#define NEVER_USEC (3600 * USEC_PER_SEC)

/* Of frames that a liar may send after one question; a socket holds fewer. */
#define FLOOD 64

static void say_hello(struct fixture *f)
{
	const struct wire_frame frame = fixture_hello();

	fixture_send_frame(f, &frame);
	fixture_settle(f);
	CHECK_EQ(f->n_hello, 1);
}

static void test_the_last_connection_takes_the_loop_along(void)
{
	struct fixture *a = fixture_new(), *b = fixture_beside(a);

	CHECK(a->conn->loop == b->conn->loop);
	CHECK_EQ(a->conn->loop->n_conns, 2);
	a->conn = conn_free(a->conn);
	CHECK_EQ(b->conn->loop->n_conns, 1);
	b->conn = conn_free(b->conn);
	/* Watching nothing it has nothing to do. */
	CHECK_EQ(sd_event_run(a->event, 0), 0);

	fixture_free(b);
	b = fixture_beside(a);
	CHECK_EQ(b->conn->loop->n_conns, 1);
	fixture_free(b);
	fixture_free(a);
}

static void test_loops_of_two_events_are_two(void)
{
	struct fixture *a = fixture_new(), *b = fixture_new();

	CHECK(a->conn->loop != b->conn->loop);
	fixture_free(a);
	say_hello(b);
	fixture_free(b);
}

static void test_each_deadline_strikes_its_own(void)
{
	struct fixture *a = fixture_new(), *b = fixture_beside(a), *c = fixture_beside(a);

	say_hello(b);
	conn_arm(c->conn, 2000);
	conn_arm(a->conn, 1000);
	fixture_wait(a, &c->n_stillborn, 1);
	fixture_wait(a, &a->n_stillborn, 1);
	CHECK_EQ(a->end, CONN_SILENT);
	CHECK_EQ(c->end, CONN_SILENT);
	CHECK_EQ(b->n_end, 0);
	CHECK(TAILQ_EMPTY(&b->conn->loop->armed));
	fixture_free(a);
	fixture_free(b);
	fixture_free(c);
}

static void test_all_at_once_all_strike(void)
{
	struct fixture *all[20], *first = fixture_new();

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		all[i] = fixture_beside(first);
		conn_arm(all[i]->conn, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		fixture_wait(first, &all[i]->n_stillborn, 1);
		fixture_free(all[i]);
	}
	CHECK_EQ(first->n_stillborn, 0);
	fixture_free(first);
}

static void test_a_later_deadline_replaces_an_earlier_one(void)
{
	struct fixture *a = fixture_new(), *b = fixture_beside(a);

	conn_arm(a->conn, 500);
	conn_arm(a->conn, NEVER_USEC);
	conn_arm(b->conn, 1000);
	fixture_wait(a, &b->n_stillborn, 1);
	CHECK_EQ(a->n_stillborn, 0);
	CHECK(a->conn->loop->timer_usec == 0 || a->conn->deadline_usec >= a->conn->loop->timer_usec);
	fixture_free(a);
	fixture_free(b);
}

/* As when a group is dropped: the end of one member is the end of others. */
static struct fixture *victim;

static void free_victim(struct conn *conn, enum conn_end end, void *userdata)
{
	fixture_on_stillborn(conn, end, userdata);
	if (victim->conn)
		victim->conn = conn_free(victim->conn);
}

static void test_a_callback_may_free_another_connection(void)
{
	struct fixture *a = fixture_new();

	victim = fixture_beside(a);
	a->handler.on_stillborn = free_victim;
	/* Both are due, and both have something to read. */
	conn_arm(a->conn, 0);
	conn_arm(victim->conn, 0);
	fixture_wait(a, &a->n_stillborn, 1);
	CHECK(!victim->conn);
	fixture_settle(a);
	CHECK_EQ(victim->n_stillborn, 0);
	fixture_free(victim);
	fixture_free(a);
}

/* A valid answer of thousands of frames, and next to it a short one. */
static void test_who_sends_much_takes_turns(void)
{
	struct fixture *a = fixture_new(), *b = fixture_beside(a);
	struct wire_frame frame;
	int n_turns = 0;

	say_hello(a);
	say_hello(b);
	CHECK_EQ(request_stats(a->conn, WIRE_STATS_ARENAS, NEVER_USEC, fixture_on_done, a), 0);
	CHECK_EQ(request_stats(b->conn, 0, NEVER_USEC, fixture_on_done, b), 0);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, 1, WIRE_OK);
	frame.stats.flags = WIRE_STATS_HEAP | WIRE_STATS_ARENAS;
	frame.stats.n_arena_frames = FLOOD;
	fixture_send_frame(a, &frame);
	for (uint32_t i = 0; i < FLOOD; i++) {
		wire_init(&frame, WIRE_TO_DAEMON, WIRE_ARENA, 1, WIRE_OK);
		frame.arenas.first = i * WIRE_ROWS;
		frame.arenas.n_rows = WIRE_ROWS;
		if (send(a->peer, &frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	}
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, 1, WIRE_OK);
	fixture_send_frame(b, &frame);

	for (; b->n_done == 0 && n_turns < FLOOD; n_turns++)
		(void)sd_event_run(a->event, 0);
	CHECK_EQ(b->n_done, 1);
	CHECK(n_turns < FLOOD / 4);
	CHECK_EQ(a->n_done, 0);
	fixture_free(a);
	fixture_free(b);
}

int main(void)
{
	RUN(test_the_last_connection_takes_the_loop_along);
	RUN(test_loops_of_two_events_are_two);
	RUN(test_each_deadline_strikes_its_own);
	RUN(test_all_at_once_all_strike);
	RUN(test_a_later_deadline_replaces_an_earlier_one);
	RUN(test_a_callback_may_free_another_connection);
	RUN(test_who_sends_much_takes_turns);

	return TEST_RESULT();
}
