/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When the gate opens again after a round, by what that came to. */

#include "tests/unit/gate-fixture.h"

static void test_observe_opens_the_gate_as_usual_but_not_again_at_once(void)
{
	struct group group = example();

	settings.mode = MODE_OBSERVE;
	group.reading.anon_bytes = 850 * MIB;
	group.gate = step(&group);
	CHECK(gate_is_open(&group.gate));

	benefit.last_quiet_usec = NOW - SEC(19);
	benefit.last_quiet_reason = REASON_OBSERVE;
	benefit.last_quiet_trigger = REASON_USAGE_HIGH;
	group.gate = step(&group);
	CHECK(!gate_is_open(&group.gate));
	CHECK_EQ(group.gate.state, GATE_HIGH);
	CHECK_EQ(group.gate.reason, REASON_OBSERVE);

	benefit.last_quiet_usec = NOW - SEC(20);
	group.gate = step(&group);
	CHECK(gate_is_open(&group.gate));
}

/* How many seconds after an observed round the gate opens for the next one, of @group at rest. */
static uint64_t observed_again_sec(struct group *group, uint32_t n_quiet)
{
	uint64_t sec = 0;

	benefit.last_quiet_usec = NOW;
	benefit.last_quiet_reason = REASON_OBSERVE;
	benefit.last_quiet_trigger = REASON_USAGE_HIGH;
	benefit.n_quiet = n_quiet;
	group->gate = gate_step(group, &none, NOW);
	while (sec < 10000 && gate_step(group, &none, NOW + SEC(sec)).reason == REASON_OBSERVE)
		sec++;
	return sec;
}

static void test_what_is_observed_again_and_again_is_ever_later(void)
{
	struct group group = example();

	settings.mode = MODE_OBSERVE;
	group.heap.retained_bytes = 300 * MIB;
	CHECK_EQ(observed_again_sec(&group, 1), 20);
	CHECK_EQ(observed_again_sec(&group, 2), 40);
	CHECK_EQ(observed_again_sec(&group, 8), 2560);
	CHECK_EQ(observed_again_sec(&group, 9), 3600);
	CHECK_EQ(observed_again_sec(&group, UINT32_MAX), 3600);

	/* Something has changed, which may be worth another look. */
	benefit.last_limit_bytes = 900 * MIB;
	CHECK_EQ(observed_again_sec(&group, 9), 20);

	/* Near the limit not as late: Exec= hangs on it. */
	benefit.last_limit_bytes = 0;
	group.reading.anon_bytes = 850 * MIB;
	CHECK_EQ(observed_again_sec(&group, 1), 20);
	CHECK_EQ(observed_again_sec(&group, 9), 32);

	/* And at once when it is no longer only to be observed. */
	settings.mode = MODE_TRIM;
	CHECK_EQ(observed_again_sec(&group, 9), 0);
}

static void test_a_release_outdates_the_quiet_round_before_it(void)
{
	struct group group = example();

	group.reading.anon_bytes = 950 * MIB;
	group.gate.state = GATE_CRITICAL;
	settings.cooldown_usec = 0;
	benefit.last_quiet_usec = NOW - 2;
	benefit.last_quiet_reason = REASON_NOT_WORTH;
	benefit.last_quiet_trigger = REASON_USAGE_CRITICAL;
	benefit.last_round_usec = NOW - 1;
	CHECK_EQ(step(&group).reason, REASON_USAGE_CRITICAL);
}

static void test_the_shortest_time_between_rounds_never_exceeds_the_cooldown(void)
{
	struct group_settings other = { .cooldown_usec = SEC(30) };

	CHECK_EQ(gate_soonest_usec(&other), SEC(3));
	other.cooldown_usec = SEC(5);
	CHECK_EQ(gate_soonest_usec(&other), SEC(1));
	other.cooldown_usec = SEC(1) / 2;
	CHECK_EQ(gate_soonest_usec(&other), SEC(1) / 2);
	other.cooldown_usec = 0;
	CHECK_EQ(gate_soonest_usec(&other), 0);
}

static void test_near_a_kill_back_off_counts_until_something_has_changed(void)
{
	struct group group = example();

	group.reading.anon_bytes = 950 * MIB;
	benefit = (struct benefit){
		.last_round_usec = NOW - SEC(9),
		.backoff_usec = SEC(3600),
		.urgent_backoff_usec = SEC(8),
		.last_limit_bytes = 1000 * MIB,
		.last_anon_bytes = 950 * MIB,
		.asked_anon_bytes = 950 * MIB,
	};
	CHECK_EQ(step(&group).reason, REASON_BACKOFF);
	CHECK_EQ(step(&group).until_usec, NOW + SEC(1));
	group.heap.fresh_bytes = 100 * MIB;
	CHECK_EQ(step(&group).reason, REASON_USAGE_CRITICAL);

	/* The cool-down is there to see what the last one did. */
	benefit.last_round_usec = NOW - SEC(1);
	CHECK_EQ(step(&group).reason, REASON_COOLDOWN);

	/* The same where usage is high; what is calm can wait for its time. */
	benefit.last_round_usec = NOW - SEC(30);
	group.reading.anon_bytes = benefit.last_anon_bytes = 850 * MIB;
	CHECK_EQ(step(&group).reason, REASON_USAGE_HIGH);
	group.reading.anon_bytes = benefit.last_anon_bytes = 500 * MIB;
	group.heap.retained_bytes = 200 * MIB;
	CHECK_EQ(step(&group).reason, REASON_BACKOFF);
}

static void test_who_finds_nobody_looks_ever_later_until_something_has_changed(void)
{
	static const uint64_t expect_msec[] = { 200, 200, 400, 800, 1600, 3200, 6400, 12800,
						25600, 32000, 32000 };
	struct group group = example();

	group.reading.anon_bytes = 950 * MIB;
	group.gate.state = GATE_CRITICAL;
	benefit = (struct benefit){
		.last_quiet_usec = SEC(500),
		.last_quiet_reason = REASON_NO_MEMBERS,
		.last_quiet_trigger = REASON_USAGE_CRITICAL,
		.last_limit_bytes = 1000 * MIB,
		.last_anon_bytes = 950 * MIB,
	};
	for (size_t i = 0; i < ARRAY_SIZE(expect_msec); i++) {
		const uint64_t at_usec = SEC(500) + expect_msec[i] * USEC_PER_MSEC;

		benefit.n_quiet = (uint32_t)i;
		CHECK_EQ(gate_step(&group, &none, at_usec - 1).reason, REASON_NO_MEMBERS);
		CHECK_EQ(gate_step(&group, &none, at_usec).reason, REASON_USAGE_CRITICAL);
	}

	benefit.n_quiet = UINT32_MAX;
	CHECK_EQ(gate_step(&group, &none, SEC(532) - 1).reason, REASON_NO_MEMBERS);
	CHECK_EQ(gate_step(&group, &none, SEC(532)).reason, REASON_USAGE_CRITICAL);

	/* Not at every reading of a group that changes all the time, either. */
	group.n_joined = 1;
	CHECK_EQ(gate_step(&group, &none, SEC(500) + 199999).reason, REASON_NO_MEMBERS);
	CHECK_EQ(gate_step(&group, &none, SEC(500) + 200000).reason, REASON_USAGE_CRITICAL);
}

/*
 * Growth so fast that before the look that sees high usage another one has found it near the limit by
 * its rate, and nobody worth asking by figures of before: all of it during the cool-down.
 */
static void test_a_quiet_round_holds_up_nothing_that_is_more_urgent(void)
{
	struct group group = example();

	benefit = (struct benefit){
		.last_round_usec = NOW - SEC(3),
		.asked_anon_bytes = 100 * MIB,
		.last_limit_bytes = 1000 * MIB,
		.last_anon_bytes = 700 * MIB,
		.last_quiet_usec = NOW - 100 * USEC_PER_MSEC,
		.last_quiet_reason = REASON_NOT_WORTH,
		.last_quiet_trigger = REASON_OOM_ETA,
		.n_quiet = 1,
	};
	group.gate.state = GATE_SETTLING;
	group.trend.growth_bytes_per_sec = (int64_t)(400 * MIB);
	group.trend.eta_usec = SEC(1) / 2;
	group.reading.anon_bytes = 750 * MIB;
	CHECK_EQ(step(&group).reason, REASON_NOT_WORTH);
	group.reading.anon_bytes = 810 * MIB;
	CHECK_EQ(step(&group).reason, REASON_USAGE_HIGH);
	group.reading.anon_bytes = 950 * MIB;
	CHECK_EQ(step(&group).reason, REASON_USAGE_CRITICAL);

	benefit.last_quiet_trigger = REASON_USAGE_HIGH;
	CHECK_EQ(step(&group).reason, REASON_USAGE_CRITICAL);
	benefit.last_quiet_trigger = REASON_USAGE_CRITICAL;
	CHECK_EQ(step(&group).reason, REASON_NOT_WORTH);
}

int main(void)
{
	RUN(test_observe_opens_the_gate_as_usual_but_not_again_at_once);
	RUN(test_what_is_observed_again_and_again_is_ever_later);
	RUN(test_a_release_outdates_the_quiet_round_before_it);
	RUN(test_the_shortest_time_between_rounds_never_exceeds_the_cooldown);
	RUN(test_near_a_kill_back_off_counts_until_something_has_changed);
	RUN(test_who_finds_nobody_looks_ever_later_until_something_has_changed);
	RUN(test_a_quiet_round_holds_up_nothing_that_is_more_urgent);

	return TEST_RESULT();
}
