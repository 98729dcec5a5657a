/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A round under way, what its group has come to meanwhile, and whether it gives way. */

#include "agent/policy/yield.h"

#include "tests/unit/pick-fixture.h"

#define ASKED (NOW - 100 * USEC_PER_MSEC)

static struct running running;
static struct pick faster;

/* 300 MiB are being borrowed from a busy program, which takes 400 ms, of which 100 are over. */
static void begin(enum reason reason)
{
	struct member *m;

	reset();
	settings.oom_eta_usec = 10 * USEC_PER_SEC;
	group.gate = (struct gate){ .state = GATE_HIGH, .reason = REASON_USAGE_HIGH };
	group.trend = (struct trend){ .time_usec = NOW, .eta_usec = USEC_INFINITY };
	m = add(0, 300, 900);
	m->busy_permyriad = 9000;
	m->stall_usec = 100 * USEC_PER_MSEC;
	m->stats.n_arenas = m->stats.n_anchored = 2;
	m->borrow = (struct forecast){
		.bytes = 300 * MIB,
		.stall_usec = 2 * USEC_PER_MSEC,
		.usec = 400 * USEC_PER_MSEC,
	};
	running = (struct running){
		.reason = reason,
		.member = m,
		.method = METHOD_BORROW,
		.asked_usec = ASKED,
	};
}

static void become(enum gate_state state, enum reason reason)
{
	group.gate = (struct gate){ .state = state, .reason = reason };
}

static void grow(uint64_t eta_usec)
{
	group.trend.growth_bytes_per_sec = 100 * MIB;
	group.trend.eta_usec = eta_usec;
}

static void check(enum yield expected)
{
	faster.pid = 0;
	CHECK_STR(yield_to_string(yield_decide(&group, &running, NOW, &faster)),
		  yield_to_string(expected));
	CHECK_EQ(faster.pid, expected == YIELD_ALL ? 100 : 0);
}

static void test_what_is_no_worse_changes_nothing(void)
{
	begin(REASON_USAGE_HIGH);
	check(YIELD_NOT);
	begin(REASON_RETAINED);
	check(YIELD_NOT);
	become(GATE_RETAINING, REASON_RETAINED);
	grow(USEC_PER_SEC / 10);
	check(YIELD_NOT);
	become(GATE_RETAINING, REASON_LEFT);
	check(YIELD_NOT);
}

static void test_borrowing_ends_when_a_kill_is_near(void)
{
	static const enum reason reasons[] = { REASON_USAGE_HIGH, REASON_PRESSURE, REASON_RETAINED,
					       REASON_LEFT, REASON_COMMAND };

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		begin(reasons[i]);
		become(GATE_CRITICAL, REASON_USAGE_CRITICAL);
		check(YIELD_ALL);
		CHECK_EQ(faster.method, METHOD_FULL);
		CHECK_EQ(faster.why, WHY_URGENT);
		CHECK_EQ(faster.expected_bytes, 300 * MIB);
		CHECK_EQ(faster.stall_usec, 100 * USEC_PER_MSEC);
	}
}

static void test_once(void)
{
	begin(REASON_USAGE_CRITICAL);
	become(GATE_CRITICAL, REASON_USAGE_CRITICAL);
	check(YIELD_NOT);
	begin(REASON_USAGE_HIGH);
	running.rushed = true;
	running.method = METHOD_FULL;
	grow(USEC_PER_SEC / 10);
	check(YIELD_NOT);
}

static void test_what_cannot_be_faster_goes_on_and_the_others_do_not(void)
{
	begin(REASON_USAGE_HIGH);
	become(GATE_CRITICAL, REASON_USAGE_CRITICAL);
	running.method = METHOD_FULL;
	check(YIELD_OTHERS);
	running.method = METHOD_BORROW;
	settings.method = METHOD_BORROW;
	check(YIELD_OTHERS);
	settings.method = METHOD_AUTO;
	/* Tops alone, which a full trim leaves. */
	members[0].retained_bytes = MIB;
	check(YIELD_OTHERS);
	running.member = NULL;
	check(YIELD_OTHERS);
}

static void test_borrowing_ends_when_it_would_last_too_long(void)
{
	begin(REASON_USAGE_HIGH);
	running.rushed = true;
	/* 300 ms are left. */
	grow(600 * USEC_PER_MSEC);
	check(YIELD_NOT);
	grow(599 * USEC_PER_MSEC);
	check(YIELD_ALL);
	CHECK_EQ(faster.why, WHY_URGENT);
	become(GATE_PRESSED, REASON_OOM_ETA);
	check(YIELD_ALL);

	/* And 100 more, which have come since its figures: once. */
	become(GATE_HIGH, REASON_USAGE_HIGH);
	members[0].borrow_usec_per_mib = 1000;
	members[0].process.rss_bytes += 100 * MIB;
	grow(800 * USEC_PER_MSEC);
	check(YIELD_NOT);
	grow(799 * USEC_PER_MSEC);
	check(YIELD_ALL);
	members[0].process.rss_bytes -= 100 * MIB;

	/* It should have ended long ago: as long again as it took. */
	running.asked_usec = NOW - 2 * USEC_PER_SEC;
	grow(4 * USEC_PER_SEC);
	check(YIELD_NOT);
	grow(4 * USEC_PER_SEC - 1);
	check(YIELD_ALL);
}

static void test_the_others_are_chosen_anew_when_the_limit_comes_near(void)
{
	begin(REASON_USAGE_HIGH);
	grow(10 * USEC_PER_SEC);
	check(YIELD_OTHERS);
	running.rushed = true;
	check(YIELD_NOT);
	running.rushed = false;
	grow(10 * USEC_PER_SEC + 1);
	check(YIELD_NOT);
}

static void test_a_closed_gate_holds_for_both(void)
{
	begin(REASON_COMMAND);
	become(GATE_CRITICAL, REASON_MAX_PER_HOUR);
	check(YIELD_NOT);
	become(GATE_SETTLING, REASON_BACKOFF);
	check(YIELD_NOT);
	become(GATE_CRITICAL, REASON_USAGE_CRITICAL);
	settings.mode = MODE_OBSERVE;
	check(YIELD_NOT);
}

int main(void)
{
	RUN(test_what_is_no_worse_changes_nothing);
	RUN(test_borrowing_ends_when_a_kill_is_near);
	RUN(test_once);
	RUN(test_what_cannot_be_faster_goes_on_and_the_others_do_not);
	RUN(test_borrowing_ends_when_it_would_last_too_long);
	RUN(test_the_others_are_chosen_anew_when_the_limit_comes_near);
	RUN(test_a_closed_gate_holds_for_both);
	return TEST_RESULT();
}
