/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How often a step was taken within an hour. */

#include "agent/model/steps.h"

#include "agent/basic/macro.h"
#include "agent/policy/ladder.h"
#include "tests/unit/test.h"

#define SEC(x) ((x)*USEC_PER_SEC)
#define MINUTES(x) SEC((x) * UINT64_C(60))

static void test_nothing_was_ever_done(void)
{
	const struct steps steps = { 0 };

	for (int step = 0; step < STEP_MAX_; step++) {
		CHECK_EQ(steps_n(&steps, (enum step)step, 0), 0);
		CHECK_EQ(steps_n(&steps, (enum step)step, UINT64_MAX), 0);
		CHECK_EQ(steps.all[step].last_usec, 0);
	}
}

static void test_each_step_has_its_own_count(void)
{
	struct steps steps = { 0 };

	steps_count(&steps, STEP_RELEASE, SEC(7));
	steps_count(&steps, STEP_RELEASE, SEC(8));
	steps_count(&steps, STEP_COMMAND, SEC(9));
	CHECK_EQ(steps_n(&steps, STEP_RELEASE, SEC(9)), 2);
	CHECK_EQ(steps_n(&steps, STEP_COMMAND, SEC(9)), 1);
	CHECK_EQ(steps_n(&steps, STEP_ALERT, SEC(9)), 0);
	CHECK_EQ(steps.all[STEP_RELEASE].last_usec, SEC(8));
}

/* An hour is never less than one, and at most five minutes more. */
static void test_what_is_an_hour_old_is_forgotten(void)
{
	for (uint64_t begin = 0; begin < MINUTES(5); begin += SEC(1)) {
		struct steps steps = { 0 };

		steps_count(&steps, STEP_RELEASE, begin);
		CHECK_EQ(steps_n(&steps, STEP_RELEASE, begin + MINUTES(60)), 1);
		CHECK_EQ(steps_n(&steps, STEP_RELEASE, begin + MINUTES(65)), 0);
	}
}

/* One a minute for a day: 60 an hour, and no more than five more are counted. */
static void test_a_steady_pace_is_counted_right(void)
{
	struct steps steps = { 0 };

	for (uint64_t minute = 0; minute < 1440; minute++) {
		const uint32_t expect = (uint32_t)(minute < 60 ? minute + 1 : 60);
		uint32_t n;

		steps_count(&steps, STEP_RELEASE, MINUTES(minute));
		n = steps_n(&steps, STEP_RELEASE, MINUTES(minute));
		CHECK(n >= expect && n <= expect + 5);
	}

	/* Somewhere in a long pause slots are used again. */
	steps_count(&steps, STEP_RELEASE, MINUTES(100000));
	CHECK_EQ(steps_n(&steps, STEP_RELEASE, MINUTES(100000)), 1);
}

static void test_a_clock_that_goes_back_counts_as_before(void)
{
	struct steps steps = { 0 };

	steps_count(&steps, STEP_RELEASE, MINUTES(100));
	steps_count(&steps, STEP_RELEASE, MINUTES(1));
	CHECK_EQ(steps_n(&steps, STEP_RELEASE, 0), 2);
	CHECK_EQ(steps_n(&steps, STEP_RELEASE, MINUTES(100)), 2);
}

static void test_counts_saturate(void)
{
	struct steps steps = { 0 };

	for (uint32_t i = 0; i < UINT16_MAX + 10U; i++)
		steps_count(&steps, STEP_RELEASE, SEC(1));
	CHECK_EQ(steps_n(&steps, STEP_RELEASE, SEC(1)), UINT16_MAX);
}

static void test_steps_have_names(void)
{
	for (int step = 0; step < STEP_MAX_; step++)
		CHECK(strcmp(step_to_string((enum step)step), "unknown") != 0);
	CHECK_STR(step_to_string(STEP_MAX_), "unknown");
}

static struct rung look(const struct group *group, enum step step)
{
	return ladder_look(group, step, SEC(1000));
}

static void test_a_release_is_the_gates_business(void)
{
	struct group group = { .gate = { GATE_HIGH, REASON_USAGE_HIGH, 0, 0 } };

	CHECK(look(&group, STEP_RELEASE).due);
	CHECK_EQ(look(&group, STEP_RELEASE).reason, REASON_USAGE_HIGH);
	group.gate.reason = REASON_NOT_WORTH;
	CHECK(!look(&group, STEP_RELEASE).due);
	CHECK_EQ(look(&group, STEP_RELEASE).reason, REASON_NOT_WORTH);
}

static void test_tuning_waits_for_releases_that_came_to_nothing(void)
{
	struct group_settings settings = { .tune_after = 3, .mmap_threshold_bytes = MIB };
	struct benefit benefit = { .n_returned = 2 };
	struct steps steps = { 0 };
	struct group group = {
		.settings = &settings,
		.steps = &steps,
		.benefit = &benefit,
	};

	CHECK_EQ(look(&group, STEP_TUNE).reason, REASON_BELOW);
	benefit.n_returned = 3;
	CHECK_EQ(look(&group, STEP_TUNE).reason, REASON_RETURNED);
	CHECK(look(&group, STEP_TUNE).due);

	settings.mode = MODE_OBSERVE;
	CHECK_EQ(look(&group, STEP_TUNE).reason, REASON_OBSERVE);
	CHECK(!look(&group, STEP_TUNE).due);
	settings.mode = MODE_TRIM;

	settings.mmap_threshold_bytes = 0;
	CHECK_EQ(look(&group, STEP_TUNE).reason, REASON_OFF);
	settings.decay_usec = 1;
	CHECK(look(&group, STEP_TUNE).due);
	settings.tune_after = 0;
	CHECK_EQ(look(&group, STEP_TUNE).reason, REASON_OFF);

	/* Once is enough. */
	settings.tune_after = 3;
	steps_count(&steps, STEP_TUNE, SEC(1));
	CHECK_EQ(look(&group, STEP_TUNE).reason, REASON_TAKEN);
	CHECK(!look(&group, STEP_TUNE).due);
}

static void test_a_command_has_its_own_cooldown_and_cap(void)
{
	struct group_settings settings = {
		.usage_critical_permyriad = 9000,
		.cooldown_usec = SEC(5),
		.max_per_hour = 2,
	};
	struct steps steps = { 0 };
	struct group group = {
		.settings = &settings,
		.steps = &steps,
		.reading = { .limit_bytes = 100 * MIB, .anon_bytes = 90 * MIB },
	};

	CHECK_EQ(look(&group, STEP_COMMAND).reason, REASON_OFF);
	settings.exec_line = "/bin/true";
	CHECK(look(&group, STEP_COMMAND).due);
	CHECK(look(&group, STEP_ALERT).due);

	steps_count(&steps, STEP_COMMAND, SEC(996));
	CHECK_EQ(look(&group, STEP_COMMAND).reason, REASON_COOLDOWN);
	steps = (struct steps){ 0 };
	steps_count(&steps, STEP_COMMAND, SEC(994));
	steps_count(&steps, STEP_COMMAND, SEC(995));
	CHECK_EQ(look(&group, STEP_COMMAND).reason, REASON_MAX_PER_HOUR);
	settings.max_per_hour = 0;
	CHECK(look(&group, STEP_COMMAND).due);

	group.reading.anon_bytes--;
	CHECK_EQ(look(&group, STEP_COMMAND).reason, REASON_BELOW);
	CHECK_EQ(look(&group, STEP_ALERT).reason, REASON_BELOW);
	group.reading.limit_bytes = BYTES_INFINITY;
	group.reading.anon_bytes = UINT64_MAX;
	CHECK(!look(&group, STEP_COMMAND).due);
}

static struct rung look_reclaim(const struct group *group, struct swap swap)
{
	return ladder_look_reclaim(group, &swap, SEC(1000));
}

static void test_the_kernel_reclaims_into_swap_alone(void)
{
	const struct swap some = { .has_reclaim = true, .room_bytes = 50 * MIB };
	struct group_settings settings = {
		.usage_critical_permyriad = 9000,
		.cooldown_usec = SEC(5),
		.max_per_hour = 2,
	};
	struct steps steps = { 0 };
	struct group group = {
		.settings = &settings,
		.steps = &steps,
		.reading = { .limit_bytes = 100 * MIB, .anon_bytes = 90 * MIB },
	};

	CHECK_EQ(look_reclaim(&group, some).reason, REASON_OFF);
	settings.reclaim_bytes = MIB;
	CHECK_EQ(look_reclaim(&group, some).reason, REASON_USAGE_CRITICAL);
	CHECK(look_reclaim(&group, some).due);
	CHECK_EQ(look_reclaim(&group, (struct swap){ .has_reclaim = true }).reason, REASON_NO_SWAP);
	CHECK_EQ(look_reclaim(&group, (struct swap){ .room_bytes = GIB }).reason, REASON_NO_RECLAIM);
	/* By itself nobody knows of swap. */
	CHECK_EQ(look(&group, STEP_RECLAIM).reason, REASON_NO_RECLAIM);

	settings.mode = MODE_OBSERVE;
	CHECK_EQ(look_reclaim(&group, some).reason, REASON_OBSERVE);
	CHECK(!look_reclaim(&group, some).due);
	settings.mode = MODE_TRIM;

	steps_count(&steps, STEP_RECLAIM, SEC(996));
	CHECK_EQ(look_reclaim(&group, some).reason, REASON_COOLDOWN);
	steps = (struct steps){ 0 };
	steps_count(&steps, STEP_RECLAIM, SEC(994));
	steps_count(&steps, STEP_RECLAIM, SEC(995));
	CHECK_EQ(look_reclaim(&group, some).reason, REASON_MAX_PER_HOUR);

	group.reading.anon_bytes--;
	CHECK_EQ(look_reclaim(&group, some).reason, REASON_BELOW);
	/* What others have of the limit counts with it. */
	group.reading.others_bytes = 1;
	CHECK_EQ(look_reclaim(&group, some).reason, REASON_MAX_PER_HOUR);
}

static void test_no_more_is_reclaimed_than_leads_down_to_usage_high(void)
{
	struct group_settings settings = { .usage_high_permyriad = 8000, .reclaim_bytes = GIB };
	struct swap swap = { .has_reclaim = true, .room_bytes = GIB };
	struct group group = {
		.settings = &settings,
		.reading = { .limit_bytes = 100 * MIB, .anon_bytes = 95 * MIB },
	};

	CHECK_EQ(ladder_reclaim_bytes(&group, &swap), 15 * MIB);
	swap.room_bytes = 10 * MIB;
	CHECK_EQ(ladder_reclaim_bytes(&group, &swap), 10 * MIB);
	settings.reclaim_bytes = 4 * MIB;
	CHECK_EQ(ladder_reclaim_bytes(&group, &swap), 4 * MIB);
	/* Most of it may be others', who are asked as well. */
	settings.reclaim_bytes = swap.room_bytes = GIB;
	group.reading.anon_bytes = 19 * MIB;
	group.reading.others_bytes = 76 * MIB;
	CHECK_EQ(ladder_reclaim_bytes(&group, &swap), 3 * MIB);
	group.reading.others_bytes = 0;
	CHECK_EQ(ladder_reclaim_bytes(&group, &swap), 0);
}

static void test_an_alert_has_more_reasons_than_critical_usage(void)
{
	struct group_settings settings = { .usage_critical_permyriad = 9000 };
	struct alert_memory memory = { 0 };
	struct group group = {
		.settings = &settings,
		.reading = { .limit_bytes = 100 * MIB, .anon_bytes = 89 * MIB },
	};

	CHECK(!ladder_look_alert(&group, &memory, SEC(1000)).due);
	memory.kinds[ALERT_NOT_PAYING].since_usec = SEC(990);
	CHECK(ladder_look_alert(&group, &memory, SEC(1000)).due);
	CHECK_EQ(ladder_look_alert(&group, &memory, SEC(1000)).reason, REASON_BACKOFF);
	memory.kinds[ALERT_KILL_NEAR].since_usec = SEC(990);
	CHECK(ladder_look_alert(&group, &memory, SEC(1000)).due);
	CHECK_EQ(ladder_look_alert(&group, &memory, SEC(1000)).reason, REASON_KILL_NEAR);
	group.reading.anon_bytes = 90 * MIB;
	CHECK_EQ(ladder_look_alert(&group, &memory, SEC(1000)).reason, REASON_USAGE_CRITICAL);
}

int main(void)
{
	RUN(test_nothing_was_ever_done);
	RUN(test_each_step_has_its_own_count);
	RUN(test_what_is_an_hour_old_is_forgotten);
	RUN(test_a_steady_pace_is_counted_right);
	RUN(test_a_clock_that_goes_back_counts_as_before);
	RUN(test_counts_saturate);
	RUN(test_steps_have_names);
	RUN(test_a_release_is_the_gates_business);
	RUN(test_tuning_waits_for_releases_that_came_to_nothing);
	RUN(test_a_command_has_its_own_cooldown_and_cap);
	RUN(test_the_kernel_reclaims_into_swap_alone);
	RUN(test_no_more_is_reclaimed_than_leads_down_to_usage_high);
	RUN(test_an_alert_has_more_reasons_than_critical_usage);

	return TEST_RESULT();
}
