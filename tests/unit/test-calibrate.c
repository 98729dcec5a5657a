/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process's releases teach, and what they cannot. */

#include "agent/policy/calibrate.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

static struct wire_reclaim_reply full(uint64_t usec)
{
	return (struct wire_reclaim_reply){ .method = WIRE_METHOD_FULL, .duration_usec = usec };
}

static struct wire_reclaim_reply borrow(uint64_t released, uint64_t stall_usec, uint64_t usec)
{
	return (struct wire_reclaim_reply){
		.method = WIRE_METHOD_BORROW,
		.rss_before = GIB + released,
		.rss_after = GIB,
		.stall_usec = stall_usec,
		.duration_usec = usec,
	};
}

static void test_before_the_first_release_the_model_stands(void)
{
	const struct calibration c = { 0 };
	struct forecast f = { 100 * MIB, 1500, 7000 };

	CHECK_EQ(calibrate_full(&c, 5000, true), 5000);
	calibrate_borrow(&c, &f);
	CHECK_EQ(f.bytes, 100 * MIB);
	CHECK_EQ(f.stall_usec, 1500);
	CHECK_EQ(f.usec, 7000);
}

static void test_a_fast_process_is_predicted_fast(void)
{
	struct calibration c = { 0 };
	const struct wire_reclaim_reply half = full(50000);

	c = calibrate_add_full(&c, &half, 100000, true);
	CHECK_EQ(calibrate_full(&c, 8000, true), 4000);
	/* Better than nothing for the other state, until that has been seen. */
	CHECK_EQ(calibrate_full(&c, 8000, false), 4000);
	c = calibrate_add_full(&c, &half, 50000, false);
	CHECK_EQ(calibrate_full(&c, 8000, false), 8000);
	CHECK_EQ(calibrate_full(&c, 8000, true), 4000);
}

static void test_what_comes_after_the_trim_is_no_stall(void)
{
	struct calibration c = { 0 };
	struct wire_reclaim_reply reply = full(250000);

	reply.stall_usec = 20000;
	c = calibrate_add_full(&c, &reply, 10000, true);
	CHECK_EQ(calibrate_full(&c, 8000, true), 16000);
	/* A claim beyond the whole. */
	reply.stall_usec = 900000;
	c = (struct calibration){ 0 };
	c = calibrate_add_full(&c, &reply, 250000, true);
	CHECK_EQ(calibrate_full(&c, 8000, true), 8000);
}

static void test_slower_is_learnt_sooner_than_faster(void)
{
	struct calibration c = { 0 }, up, down;
	const struct wire_reclaim_reply same = full(10000), twice = full(20000),
					never = full(2500);

	c = calibrate_add_full(&c, &same, 10000, true);
	up = calibrate_add_full(&c, &twice, 10000, true);
	down = calibrate_add_full(&c, &never, 10000, true);
	CHECK_EQ(up.full_permille[true], 1500);
	CHECK_EQ(down.full_permille[true], 813);
	for (int i = 0; i < 50; i++)
		up = calibrate_add_full(&up, &twice, 10000, true);
	CHECK_EQ(up.full_permille[true], 2000);
}

static void test_a_moment_teaches_nothing(void)
{
	struct calibration c = { 0 };
	const struct wire_reclaim_reply moment = full(100), long_one = full(100000);

	c = calibrate_add_full(&c, &moment, 100000, true);
	c = calibrate_add_full(&c, &long_one, 100, true);
	CHECK_EQ(c.n_full[true], 0);
}

static void test_borrowing_is_predicted_by_its_own_past(void)
{
	struct calibration c = { 0 };
	struct forecast f = { 100 * MIB, 1500, 7000 };
	const struct wire_reclaim_reply reply = borrow(160 * MIB, 400, 160000);

	c = calibrate_add_borrow(&c, &reply, 200 * MIB);
	calibrate_borrow(&c, &f);
	CHECK(f.bytes >= 79 * MIB && f.bytes <= 80 * MIB);
	CHECK_EQ(f.stall_usec, 400);
	CHECK(f.usec >= 79000 && f.usec <= 80000);
}

static void test_one_stopped_half_way_does_not_say_how_much_there_was(void)
{
	struct calibration c = { 0 };
	struct wire_reclaim_reply reply = borrow(50 * MIB, 400, 50000);

	reply.end = WIRE_END_TIME;
	c = calibrate_add_borrow(&c, &reply, 200 * MIB);
	CHECK_EQ(c.borrow_permille, 1000);
	CHECK_EQ(c.borrow_usec_per_mib, 1000);
}

static void test_what_borrowing_does_not_reach_is_not_expected_again(void)
{
	struct calibration c = { 0 };
	struct forecast f = { 2 * GIB, 1500, 7000 };
	struct wire_reclaim_reply reply = borrow(2 * MIB, 400, 160000);

	reply.n_arenas = 8;
	c = calibrate_add_borrow(&c, &reply, 2 * GIB);
	calibrate_borrow(&c, &f);
	CHECK(f.bytes <= 3 * MIB);
	CHECK_EQ(c.borrow_unreached, 8);

	/* Where all were reached there was just less than seemed so. */
	reply.n_reached = 8;
	c = calibrate_add_borrow(&(struct calibration){ 0 }, &reply, 2 * GIB);
	f.bytes = 2 * GIB;
	calibrate_borrow(&c, &f);
	CHECK_EQ(f.bytes, GIB / 4);
	CHECK_EQ(c.borrow_unreached, 0);
}

static void test_lies_are_bounded(void)
{
	static const uint64_t values[] = { 0, 1, 400, MIB, UINT64_MAX - 1, UINT64_MAX };
	const size_t n = ARRAY_SIZE(values);

	for (size_t i = 0; i < n * n * n * n; i++) {
		const struct wire_reclaim_reply lie = {
			.method = WIRE_METHOD_BORROW,
			.rss_before = values[i % n],
			.rss_after = values[i / n % n],
			.duration_usec = values[i / n / n % n],
			.stall_usec = values[i / n / n / n],
		};
		struct calibration c = { 0 };
		struct forecast f = { GIB, 1500, 7000 };

		for (size_t j = 0; j < n; j++) {
			c = calibrate_add_full(&c, &lie, values[j], j & 1);
			c = calibrate_add_borrow(&c, &lie, values[j]);
		}
		CHECK(calibrate_full(&c, 8000, true) >= 1000);
		CHECK(calibrate_full(&c, 8000, true) <= 64 * 8000);
		CHECK(calibrate_full(&c, UINT64_MAX, true) > 0);
		calibrate_borrow(&c, &f);
		CHECK(f.bytes >= GIB / 9 && f.bytes <= 2 * GIB);
		CHECK(f.stall_usec >= 50 && f.stall_usec <= 10 * USEC_PER_SEC);
	}
}

int main(void)
{
	RUN(test_before_the_first_release_the_model_stands);
	RUN(test_a_fast_process_is_predicted_fast);
	RUN(test_what_comes_after_the_trim_is_no_stall);
	RUN(test_slower_is_learnt_sooner_than_faster);
	RUN(test_a_moment_teaches_nothing);
	RUN(test_borrowing_is_predicted_by_its_own_past);
	RUN(test_one_stopped_half_way_does_not_say_how_much_there_was);
	RUN(test_what_borrowing_does_not_reach_is_not_expected_again);
	RUN(test_lies_are_bounded);

	return TEST_RESULT();
}
