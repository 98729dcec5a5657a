/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a round teaches: sums, and the back-off that doubles and clears. */

#include "agent/policy/benefit.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

#define SEC(x) ((x)*USEC_PER_SEC)

static const struct group_settings settings = {
	.min_release_bytes = 16 * MIB,
	.cooldown_usec = SEC(30),
};

/* One member asked, 500 MiB used before. */
static struct outcome released(uint64_t expected_mib, uint64_t released_mib)
{
	return (struct outcome){
		.kind = OUTCOME_RELEASED,
		.trigger = REASON_USAGE_HIGH,
		.end_usec = SEC(100),
		.n_asked = 1,
		.n_answered = 1,
		.usage_before_bytes = 500 * MIB,
		.usage_after_bytes = (500 - released_mib) * MIB,
		.expected_bytes = expected_mib * MIB,
	};
}

static struct benefit add(struct benefit benefit, struct outcome outcome)
{
	return benefit_add(&benefit, &settings, &outcome);
}

static void test_a_good_release_is_remembered_without_back_off(void)
{
	struct benefit b = add((struct benefit){ 0 }, released(100, 200));

	CHECK_EQ(b.n_rounds, 1);
	CHECK_EQ(b.released_bytes, 200 * MIB);
	CHECK_EQ(b.last_round_usec, SEC(100));
	CHECK_EQ(b.last_released_bytes, 200 * MIB);
	CHECK_EQ(b.last_usage_bytes, 300 * MIB);
	CHECK_EQ(b.backoff_usec, 0);

	b = add(b, released(100, 50));
	CHECK_EQ(b.n_rounds, 2);
	CHECK_EQ(b.released_bytes, 250 * MIB);
	CHECK_EQ(b.last_released_bytes, 50 * MIB);
}

static void test_a_quarter_of_the_expected_is_enough(void)
{
	CHECK_EQ(add((struct benefit){ 0 }, released(400, 100)).backoff_usec, 0);
	CHECK_EQ(add((struct benefit){ 0 }, released(404, 100)).backoff_usec, SEC(30));
}

static void test_less_than_min_release_disappoints_whatever_was_expected(void)
{
	CHECK_EQ(add((struct benefit){ 0 }, released(0, 16)).backoff_usec, 0);
	CHECK_EQ(add((struct benefit){ 0 }, released(0, 15)).backoff_usec, SEC(30));
}

static void test_back_off_doubles_up_to_an_hour_and_clears_at_once(void)
{
	static const uint64_t expect_sec[] = { 30,  60,   120,  240, 480,
					       960, 1920, 3600, 3600 };
	struct benefit b = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(expect_sec); i++) {
		b = add(b, released(100, 0));
		CHECK_EQ(b.backoff_usec, SEC(expect_sec[i]));
	}

	b = add(b, released(100, 100));
	CHECK_EQ(b.backoff_usec, 0);
}

static void test_back_off_begins_somewhere_even_without_a_cooldown(void)
{
	const struct group_settings none = { .min_release_bytes = 1 };
	const struct group_settings endless = { .min_release_bytes = 1,
						.cooldown_usec = UINT64_MAX };
	const struct benefit before = { 0 };
	const struct outcome outcome = released(1, 0);

	CHECK_EQ(benefit_add(&before, &none, &outcome).backoff_usec, SEC(1));
	CHECK_EQ(benefit_add(&before, &endless, &outcome).backoff_usec, SEC(3600));
}

static void test_a_failed_round_disappoints(void)
{
	struct outcome outcome = released(100, 0);
	struct benefit b;

	outcome.kind = OUTCOME_FAILED;
	outcome.n_answered = 0;
	b = add((struct benefit){ 0 }, outcome);
	CHECK_EQ(b.n_rounds, 1);
	CHECK_EQ(b.last_round_usec, SEC(100));
	CHECK_EQ(b.backoff_usec, SEC(30));
}

static void test_growth_during_a_release_is_not_a_negative_release(void)
{
	struct outcome outcome = released(100, 0);
	struct benefit b;

	outcome.usage_after_bytes = 600 * MIB;
	b = add((struct benefit){ 0 }, outcome);
	CHECK_EQ(b.released_bytes, 0);
	CHECK_EQ(b.last_released_bytes, 0);
	CHECK_EQ(b.last_usage_bytes, 600 * MIB);
}

static void test_a_command_clears_but_never_lengthens(void)
{
	struct outcome useless = released(100, 0), useful = released(100, 100);
	struct benefit b = { .backoff_usec = SEC(60) };

	useless.trigger = useful.trigger = REASON_COMMAND;
	b = add(b, useless);
	CHECK_EQ(b.backoff_usec, SEC(60));
	CHECK_EQ(b.n_rounds, 1);
	b = add(b, useful);
	CHECK_EQ(b.backoff_usec, 0);
}

static void test_of_a_round_that_asked_nobody_only_the_reason_is_kept(void)
{
	const struct outcome quiet = {
		.kind = OUTCOME_NOTHING,
		.trigger = REASON_USAGE_HIGH,
		.reason = REASON_NOT_WORTH,
		.end_usec = SEC(200),
		.usage_before_bytes = 500 * MIB,
	};
	struct benefit expect = add((struct benefit){ 0 }, released(100, 0));
	struct benefit b = add(expect, quiet);

	expect.last_quiet_usec = SEC(200);
	expect.last_quiet_reason = REASON_NOT_WORTH;
	CHECK_EQ(b.n_rounds, expect.n_rounds);
	CHECK_EQ(b.released_bytes, expect.released_bytes);
	CHECK_EQ(b.last_round_usec, expect.last_round_usec);
	CHECK_EQ(b.last_released_bytes, expect.last_released_bytes);
	CHECK_EQ(b.last_usage_bytes, expect.last_usage_bytes);
	CHECK_EQ(b.backoff_usec, expect.backoff_usec);
	CHECK_EQ(b.last_quiet_usec, expect.last_quiet_usec);
	CHECK_EQ(b.last_quiet_reason, expect.last_quiet_reason);
}

static void test_a_command_that_found_nobody_holds_nothing_up(void)
{
	const struct outcome nobody = {
		.kind = OUTCOME_NOTHING,
		.trigger = REASON_COMMAND,
		.reason = REASON_NO_MEMBERS,
		.end_usec = SEC(200),
	};

	CHECK_EQ(add((struct benefit){ 0 }, nobody).last_quiet_usec, 0);
}

static void test_sums_saturate(void)
{
	struct benefit b = { .released_bytes = UINT64_MAX - 5,
			     .backoff_usec = UINT64_MAX };
	struct outcome outcome = released(100, 0);

	b = add(b, outcome);
	CHECK_EQ(b.backoff_usec, SEC(3600));

	outcome.usage_before_bytes = UINT64_MAX;
	outcome.usage_after_bytes = 0;
	outcome.expected_bytes = UINT64_MAX;
	b = add(b, outcome);
	CHECK(b.released_bytes == UINT64_MAX);
	CHECK_EQ(b.backoff_usec, 0);
}

int main(void)
{
	RUN(test_a_good_release_is_remembered_without_back_off);
	RUN(test_a_quarter_of_the_expected_is_enough);
	RUN(test_less_than_min_release_disappoints_whatever_was_expected);
	RUN(test_back_off_doubles_up_to_an_hour_and_clears_at_once);
	RUN(test_back_off_begins_somewhere_even_without_a_cooldown);
	RUN(test_a_failed_round_disappoints);
	RUN(test_growth_during_a_release_is_not_a_negative_release);
	RUN(test_a_command_clears_but_never_lengthens);
	RUN(test_of_a_round_that_asked_nobody_only_the_reason_is_kept);
	RUN(test_a_command_that_found_nobody_holds_nothing_up);
	RUN(test_sums_saturate);

	return TEST_RESULT();
}
