/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is kept of a round that asked nobody. */

#include "tests/unit/benefit-fixture.h"

static void test_of_a_round_that_asked_nobody_only_the_reason_is_kept(void)
{
	struct benefit expect = add((struct benefit){ 0 }, released(100, 0));
	struct benefit b = add(expect, quiet(REASON_USAGE_HIGH, REASON_NOT_WORTH, 200));

	expect.last_quiet_usec = SEC(200);
	expect.last_quiet_reason = REASON_NOT_WORTH;
	expect.last_quiet_trigger = REASON_USAGE_HIGH;
	CHECK_EQ(b.n_rounds, expect.n_rounds);
	CHECK_EQ(b.released_bytes, expect.released_bytes);
	CHECK_EQ(b.last_round_usec, expect.last_round_usec);
	CHECK_EQ(b.last_released_bytes, expect.last_released_bytes);
	CHECK_EQ(b.last_usage_bytes, expect.last_usage_bytes);
	CHECK_EQ(b.backoff_usec, expect.backoff_usec);
	CHECK_EQ(b.last_quiet_usec, expect.last_quiet_usec);
	CHECK_EQ(b.last_quiet_reason, expect.last_quiet_reason);
	CHECK_EQ(b.last_quiet_trigger, expect.last_quiet_trigger);
}

static void test_a_command_that_found_nobody_holds_nothing_up(void)
{
	const struct outcome nobody = quiet(REASON_COMMAND, REASON_NO_MEMBERS, 200);

	CHECK_EQ(add((struct benefit){ 0 }, nobody).last_quiet_usec, 0);
}

static void test_quiet_rounds_are_counted_while_they_follow_each_other(void)
{
	struct outcome outcome = quiet(REASON_USAGE_HIGH, REASON_NOT_WORTH, 200);
	struct benefit b = add((struct benefit){ 0 }, outcome);

	CHECK_EQ(b.n_quiet, 1);
	outcome.end_usec += SEC(63);
	b = add(b, outcome);
	CHECK_EQ(b.n_quiet, 2);
	outcome.end_usec += SEC(64);
	CHECK_EQ(add(b, outcome).n_quiet, 1);
	CHECK_EQ(add(b, released(100, 100)).n_quiet, 0);

	outcome.trigger = REASON_RETAINED;
	CHECK_EQ(add(b, outcome).n_quiet, 0);
	outcome.trigger = REASON_LEFT;
	CHECK_EQ(add(b, outcome).n_quiet, 0);

	outcome.trigger = REASON_USAGE_HIGH;
	b.n_quiet = UINT32_MAX;
	b.last_quiet_usec = outcome.end_usec;
	CHECK_EQ(add(b, outcome).n_quiet, UINT32_MAX);
}

/* Up to an hour apart, also while all is calm; what is found otherwise is another row. */
static void test_observed_rounds_are_counted_too(void)
{
	struct outcome observed = quiet(REASON_RETAINED, REASON_OBSERVE, 20000);
	struct benefit b = add((struct benefit){ 0 }, observed);

	CHECK_EQ(b.n_quiet, 1);
	observed.end_usec += SEC(7199);
	b = add(b, observed);
	CHECK_EQ(b.n_quiet, 2);
	observed.end_usec += SEC(7200);
	CHECK_EQ(add(b, observed).n_quiet, 1);

	observed.trigger = REASON_USAGE_HIGH;
	observed.reason = REASON_NOT_WORTH;
	observed.end_usec = b.last_quiet_usec + SEC(1);
	b = add(b, observed);
	CHECK_EQ(b.n_quiet, 1);
	observed.reason = REASON_OBSERVE;
	CHECK_EQ(add(b, observed).n_quiet, 1);
}

int main(void)
{
	RUN(test_of_a_round_that_asked_nobody_only_the_reason_is_kept);
	RUN(test_a_command_that_found_nobody_holds_nothing_up);
	RUN(test_quiet_rounds_are_counted_while_they_follow_each_other);
	RUN(test_observed_rounds_are_counted_too);

	return TEST_RESULT();
}
