/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policy, where the limit is one that a group shares with others. */

#include "agent/basic/macro.h"
#include "agent/policy/benefit.h"
#include "agent/policy/freshness.h"
#include "agent/policy/gate.h"
#include "agent/policy/ladder.h"
#include "agent/policy/pick.h"
#include "agent/policy/trend.h"
#include "agent/policy/verdict.h"
#include "agent/policy/warn.h"
#include "agent/report/sentences.h"
#include "tests/unit/test.h"
#include "tests/unit/trend-fixture.h"

static struct group_settings settings; /* of the last example() */
static struct benefit benefit;

/* 300 MiB of a limit of 1000 MiB that it shares, at rest; others have @others_mib. */
static struct group example(uint64_t others_mib)
{
	benefit = (struct benefit){ 0 };
	settings = (struct group_settings){
		.usage_high_permyriad = 8000,
		.usage_critical_permyriad = 9200,
		.oom_eta_usec = SEC(10),
		.retained_high_bytes = 200 * MIB,
		.min_release_bytes = 16 * MIB,
		.cooldown_usec = SEC(10),
	};
	return (struct group){
		.path = (char *)"/work.slice/one.service",
		.unit = (char *)"one.service",
		.settings = &settings,
		.benefit = &benefit,
		.limit_level = 1,
		.reading = {
			.time_usec = NOW,
			.usage_bytes = 310 * MIB,
			.anon_bytes = 300 * MIB,
			.others_bytes = others_mib * MIB,
			.limit_bytes = 1000 * MIB,
		},
		.trend = { .time_usec = NOW, .eta_usec = USEC_INFINITY,
			   .steady_since_usec = NOW - SEC(60) },
		.gate = { .state = GATE_CALM, .reason = REASON_BELOW },
		.heap = { .time_usec = NOW },
		.n_members = 1,
	};
}

static enum reason reason_of(const struct group *group)
{
	const struct signals none = { 0 };

	return gate_step(group, &none, NOW).reason;
}

static void test_what_others_have_of_the_limit_opens_the_gate(void)
{
	struct group g = example(0);

	CHECK_EQ(reason_of(&g), REASON_BELOW);
	g.reading.others_bytes = 499 * MIB;
	CHECK_EQ(reason_of(&g), REASON_BELOW);
	g.reading.others_bytes = 500 * MIB;
	CHECK_EQ(reason_of(&g), REASON_USAGE_HIGH);
	g.reading.others_bytes = 620 * MIB;
	CHECK_EQ(reason_of(&g), REASON_USAGE_CRITICAL);
	CHECK_EQ(ladder_look(&g, STEP_ALERT, NOW).reason, REASON_USAGE_CRITICAL);

	/* Whoever has nothing has nothing to give. */
	g.reading.anon_bytes = 0;
	g.reading.others_bytes = 999 * MIB;
	CHECK_EQ(reason_of(&g), REASON_BELOW);
}

static enum reason chosen_at_critical(const struct group *group)
{
	const struct member m = {
		.process = { .pid = 17, .state = 'S', .rss_bytes = group->reading.anon_bytes },
		.time_usec = NOW,
	};
	const struct member *members[] = { &m };
	struct decision decision;

	pick_members(group, members, 1, REASON_USAGE_CRITICAL, METHOD_AUTO, &decision);
	return decision.reason;
}

static void test_who_has_next_to_nothing_of_it_is_not_asked(void)
{
	struct group g = example(900);

	g.reading.anon_bytes = 16 * MIB;
	CHECK_EQ(chosen_at_critical(&g), REASON_USAGE_CRITICAL);
	g.reading.anon_bytes--;
	CHECK_EQ(chosen_at_critical(&g), REASON_NOT_WORTH);
	/* All of the limit is its own: then what little there is may help. */
	g.reading.others_bytes = 0;
	CHECK_EQ(chosen_at_critical(&g), REASON_USAGE_CRITICAL);
}

/* Others take 10 MiB a second, this group nothing. */
static struct trend grow(struct group *g, unsigned int n_sec)
{
	g->trend = (struct trend){ 0 };
	for (uint64_t i = 0; i <= n_sec * 10; i++) {
		g->reading.time_usec = NOW + MSEC(100) * i;
		g->reading.others_bytes += MIB;
		g->trend = trend_add(&g->trend, &g->reading);
	}
	return g->trend;
}

static void test_growth_of_others_leads_to_the_limit(void)
{
	struct group g = example(500);
	const struct trend t = grow(&g, 10);

	CHECK(t.growth_bytes_per_sec > (int64_t)(9 * MIB));
	CHECK(t.growth_bytes_per_sec <= (int64_t)(10 * MIB));
	/* 99 MiB are left. */
	CHECK(t.eta_usec > SEC(9) && t.eta_usec < SEC(11));
	/* It is at rest itself: what it retains can be had while all is calm. */
	CHECK_EQ(t.steady_since_usec, NOW);
}

static void test_another_limit_is_no_growth(void)
{
	struct group g = example(0);
	struct reading last;
	struct trend t;

	t = trend_add(&(struct trend){ 0 }, &g.reading);
	last = g.reading;
	g.reading.time_usec += MSEC(100);
	g.reading.limit_bytes = 2000 * MIB;
	g.reading.others_bytes = 1500 * MIB;
	g.reading.anon_bytes += MIB;
	trend_move(&t, &last, &g.reading);
	t = trend_add(&t, &g.reading);
	CHECK(t.growth_bytes_per_sec > 0 && t.growth_bytes_per_sec < (int64_t)(2 * MIB));

	/* And back. */
	last = g.reading;
	g.reading.time_usec += MSEC(100);
	g.reading.limit_bytes = 1000 * MIB;
	g.reading.others_bytes = 0;
	trend_move(&t, &last, &g.reading);
	t = trend_add(&t, &g.reading);
	CHECK(t.growth_bytes_per_sec >= 0 && t.growth_bytes_per_sec < (int64_t)(2 * MIB));
	CHECK_EQ(t.anon_bytes, 301 * MIB);
}

static void test_the_next_reading_follows_the_room_of_all(void)
{
	struct group g = example(400);

	CHECK_EQ(trend_next_usec(&g, false, NOW), 100 * USEC_PER_SEC / 2048);
	g.reading.others_bytes = 499 * MIB;
	CHECK_EQ(trend_next_usec(&g, false, NOW), MSEC(10));
}

static void test_the_kernel_is_not_relied_on_to_tell_of_others(void)
{
	struct group g = example(0);
	const uint64_t bytes = trend_wake_bytes(&g);

	CHECK_EQ(bytes, 800 * MIB);
	CHECK(trend_is_awaited(&g, bytes));
	g.reading.others_bytes = MIB;
	CHECK(!trend_is_awaited(&g, bytes));
	CHECK(trend_is_in_place(&g, bytes));
}

/* What is due while @bytes of it grow by 10 MiB a second, for @n steps. */
static uint32_t due_by(struct group *group, struct alert_memory *memory, uint64_t *bytes, int n)
{
	uint32_t due = 0;

	for (int i = 0; i < n; i++) {
		struct warn warn;

		group->reading.time_usec += MSEC(100);
		*bytes += MIB;
		group->trend = trend_add(&group->trend, &group->reading);
		warn = warn_step(memory, group, group->reading.time_usec);
		*memory = warn.memory;
		due |= warn.due;
	}

	return due;
}

static void test_a_kill_that_others_bring_near_is_told(void)
{
	struct alert_memory memory = { 0 };
	struct group g = example(300);
	uint32_t due;

	g.trend = (struct trend){ 0 };
	due = due_by(&g, &memory, &g.reading.others_bytes, 100);
	CHECK(due & 1U << ALERT_KILL_NEAR);
	CHECK(!(due & 1U << ALERT_USAGE_CRITICAL));
}

static void test_a_kill_at_another_limit_is_told_though_less_is_taken_of_that(void)
{
	struct alert_memory memory = { 0 };
	struct group g = example(7500);
	struct reading last;

	g.trend = (struct trend){ 0 };
	g.reading.limit_bytes = 8000 * MIB;
	CHECK(!(due_by(&g, &memory, &g.reading.anon_bytes, 20) & 1U << ALERT_KILL_NEAR));
	CHECK(memory.near.since_usec != 0);

	/* The others are killed. */
	last = g.reading;
	g.reading.limit_bytes = 500 * MIB;
	g.reading.others_bytes = 0;
	trend_move(&g.trend, &last, &g.reading);
	CHECK(due_by(&g, &memory, &g.reading.anon_bytes, 100) & 1U << ALERT_KILL_NEAR);
}

static void test_a_round_has_done_enough_by_what_all_have(void)
{
	const struct decision decision = { .enough_permyriad = 7700 };
	struct group g = example(469);

	CHECK(pick_is_enough(&decision, &g.reading));
	g.reading.others_bytes = 470 * MIB;
	CHECK(!pick_is_enough(&decision, &g.reading));
}

/* It was asked in vain, and others hold the rest: that is not repeated for ever. */
static void test_a_back_off_lasts_while_others_hold_what_they_held(void)
{
	struct group g = example(640);
	const struct outcome vain = {
		.kind = OUTCOME_RELEASED,
		.trigger = REASON_USAGE_CRITICAL,
		.n_asked = 1,
		.n_answered = 1,
		.usage_before_bytes = 310 * MIB,
		.usage_after_bytes = 310 * MIB,
		.end_usec = NOW,
	};

	for (int i = 0; i < 6; i++)
		benefit = benefit_add(&g, &vain);
	CHECK_EQ(benefit.urgent_backoff_usec, SEC(32));
	CHECK_EQ(benefit.last_anon_bytes, 940 * MIB);
	CHECK(!benefit_is_outdated(&g));
	CHECK_EQ(reason_of(&g), REASON_COOLDOWN);

	g.reading.others_bytes = 669 * MIB;
	CHECK(!benefit_is_outdated(&g));
	/* Half of the room is gone, or there is plenty again. */
	g.reading.others_bytes = 670 * MIB;
	CHECK(benefit_is_outdated(&g));
	g.reading.others_bytes = 405 * MIB;
	CHECK(benefit_is_outdated(&g));
}

static void test_near_the_shared_limit_figures_are_kept_fresh(void)
{
	struct member m = { .stats_usec = NOW - SEC(6), .stats.rss = 300 * MIB };
	struct group g = example(0);

	m.process.rss_bytes = 300 * MIB;
	CHECK(!freshness_is_due(&g, &m, 0, 0, NOW));
	g.reading.others_bytes = 600 * MIB;
	CHECK(freshness_is_due(&g, &m, 0, 0, NOW));
}

static void check_advice(const struct group *group, const char *expected)
{
	const struct sums sums = {
		.heap = group->heap,
		/* Nearly all of it. */
		.use.in_use_bytes = group->reading.anon_bytes - 5 * MIB,
		.n_judged = 1,
	};
	struct diagnosis d;
	char text[SENTENCES_ADVICE_MAX];

	verdict_group(group, &sums, &(struct alert_memory){ 0 }, NOW, &d);
	CHECK_STR(verdict_to_string(d.verdict), "healthy");
	CHECK_EQ(d.n_advice, 1);
	CHECK_STR(sentences_advice(d.advice[0], &d, group, NULL, text, sizeof(text)), expected);
}

static void test_the_advice_names_whose_limit_it_is(void)
{
	struct group g = example(0);

	check_advice(&g, "nothing to do");
	g.reading.others_bytes = 600 * MIB;
	check_advice(&g, "if it needs that much: systemctl set-property work.slice MemoryMax=SIZE");
	/* A user's daemon knows of the system's slices, and his manager has others of that name. */
	g.users = true;
	check_advice(&g, "if it needs that much: systemctl set-property work.slice MemoryMax=SIZE");
	g.path = (char *)"/user.slice/user-1.slice/user@1.service/app.slice/a.service";
	check_advice(&g, "if it needs that much: systemctl --user set-property app.slice MemoryMax=SIZE");
	g.users = false;
	g.path = (char *)"/kubepods/pod1/ctr";
	check_advice(&g, "if it needs that much: raise the limit of /kubepods/pod1, which it shares");
	g.reading.anon_bytes = 900 * MIB;
	g.reading.others_bytes = g.limit_level = 0;
	check_advice(&g, "if it needs that much: systemctl set-property one.service MemoryMax=SIZE");
}

int main(void)
{
	RUN(test_what_others_have_of_the_limit_opens_the_gate);
	RUN(test_who_has_next_to_nothing_of_it_is_not_asked);
	RUN(test_growth_of_others_leads_to_the_limit);
	RUN(test_another_limit_is_no_growth);
	RUN(test_the_next_reading_follows_the_room_of_all);
	RUN(test_the_kernel_is_not_relied_on_to_tell_of_others);
	RUN(test_a_kill_that_others_bring_near_is_told);
	RUN(test_a_kill_at_another_limit_is_told_though_less_is_taken_of_that);
	RUN(test_a_round_has_done_enough_by_what_all_have);
	RUN(test_a_back_off_lasts_while_others_hold_what_they_held);
	RUN(test_near_the_shared_limit_figures_are_kept_fresh);
	RUN(test_the_advice_names_whose_limit_it_is);

	return TEST_RESULT();
}
