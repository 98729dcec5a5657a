/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The gate over the full product of states and events, and at the edges of its numbers.
 */

#include "tests/unit/gate-fixture.h"

static const enum gate_state all_states[] = {
	GATE_CALM, GATE_RETAINING, GATE_PRESSED, GATE_HIGH, GATE_CRITICAL, GATE_SETTLING,
};

/* What can happen, and what must come of it in every state. */
struct event {
	const char *name;
	uint64_t anon_mib;
	uint64_t retained_mib, untold_mib;
	uint64_t eta_sec; /* 0: not growing */
	uint64_t steady_sec;
	uint64_t round_sec; /* seconds since the last round that asked; 0: none */
	uint64_t backoff_sec;
	uint64_t quiet_msec; /* since the last round that did not; 0: none */
	bool pressure, limit_hit, no_members;
	struct {
		enum gate_state state;
		enum reason reason;
		bool open;
	} expect[ARRAY_SIZE(all_states)]; /* by the state before */
};

#define SAME(...)                                                                \
	{                                                                        \
		__VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, \
			__VA_ARGS__                                              \
	}

#define CALM                                   \
	{                                      \
		GATE_CALM, REASON_BELOW, false \
	}
#define RETAINING                                     \
	{                                             \
		GATE_RETAINING, REASON_RETAINED, true \
	}
#define UNTOLD                                      \
	{                                           \
		GATE_RETAINING, REASON_UNTOLD, true \
	}
#define PRESSED(r)                             \
	{                                      \
		GATE_PRESSED, REASON_##r, true \
	}
#define HIGH                                       \
	{                                          \
		GATE_HIGH, REASON_USAGE_HIGH, true \
	}
#define CRITICAL                                           \
	{                                                  \
		GATE_CRITICAL, REASON_USAGE_CRITICAL, true \
	}
#define SETTLING(r)                              \
	{                                        \
		GATE_SETTLING, REASON_##r, false \
	}
#define CLOSED(s, r)                        \
	{                                   \
		GATE_##s, REASON_##r, false \
	}

static const struct event events[] = {
	{ "nothing", 500, .expect = SAME(CALM) },
	{ "within the band below high", 780,
	  .expect = { CALM, CALM, CALM, HIGH, HIGH, CALM } },
	{ "below the band", 769, .expect = SAME(CALM) },
	{ "high", 800, .expect = SAME(HIGH) },
	{ "within the band below critical", 900,
	  .expect = { HIGH, HIGH, HIGH, HIGH, CRITICAL, HIGH } },
	{ "critical", 920, .expect = SAME(CRITICAL) },
	{ "limit hit while high", 800, .limit_hit = true, .expect = SAME(CRITICAL) },
	{ "limit hit by page cache", 700, .limit_hit = true, .expect = SAME(CALM) },
	{ "pressure", 400, .pressure = true, .expect = SAME(PRESSED(PRESSURE)) },
	{ "pressure, holds nothing", 399, .pressure = true, .expect = SAME(CALM) },
	{ "pressure, small but retains", 100, .retained_mib = 32, .pressure = true,
	  .expect = SAME(PRESSED(PRESSURE)) },
	{ "limit comes near", 300, .eta_sec = 10, .expect = SAME(PRESSED(OOM_ETA)) },
	{ "limit comes near, far off", 300, .eta_sec = 11, .expect = SAME(CALM) },
	{ "limit comes near, nearly empty", 249, .eta_sec = 1, .expect = SAME(CALM) },
	{ "retains", 500, .retained_mib = 200, .steady_sec = 2,
	  .expect = SAME(RETAINING) },
	{ "retains, still moving", 500, .retained_mib = 200, .steady_sec = 1,
	  .expect = SAME(CLOSED(CALM, UNSTEADY)) },
	{ "retains too little, still moving", 500, .retained_mib = 199, .steady_sec = 1,
	  .expect = SAME(CALM) },
	{ "retains, still moving, nobody there", 500, .retained_mib = 200, .steady_sec = 1,
	  .no_members = true, .expect = SAME(CALM) },
	{ "retains, still moving, but high", 800, .retained_mib = 200, .steady_sec = 1,
	  .expect = SAME(HIGH) },
	{ "retains too little", 500, .retained_mib = 199, .steady_sec = 60,
	  .expect = SAME(CALM) },
	{ "may retain", 500, .untold_mib = 200, .steady_sec = 2, .expect = SAME(UNTOLD) },
	{ "may retain, still moving", 500, .untold_mib = 200, .steady_sec = 1,
	  .expect = SAME(CLOSED(CALM, UNSTEADY)) },
	{ "may retain too little", 500, .untold_mib = 199, .steady_sec = 60,
	  .expect = SAME(CALM) },
	{ "may retain, and does", 500, .retained_mib = 200, .untold_mib = 200, .steady_sec = 2,
	  .expect = SAME(RETAINING) },
	{ "may retain, just released", 500, .untold_mib = 200, .steady_sec = 60, .round_sec = 19,
	  .expect = SAME(SETTLING(COOLDOWN)) },
	{ "may retain, but high", 800, .untold_mib = 200, .steady_sec = 60,
	  .expect = SAME(HIGH) },
	{ "calm, just released", 500, .round_sec = 19,
	  .expect = SAME(SETTLING(COOLDOWN)) },
	{ "calm, cooled down", 500, .round_sec = 20, .expect = SAME(CALM) },
	{ "calm, would be backed off", 500, .round_sec = 20, .backoff_sec = 60,
	  .expect = SAME(CALM) },
	{ "high, just released", 850, .round_sec = 19,
	  .expect = SAME(SETTLING(COOLDOWN)) },
	{ "high, cooled down", 850, .round_sec = 20, .expect = SAME(HIGH) },
	{ "high, backed off", 850, .round_sec = 79, .backoff_sec = 60,
	  .expect = SAME(CLOSED(HIGH, BACKOFF)) },
	{ "high, back-off over", 850, .round_sec = 80, .backoff_sec = 60,
	  .expect = SAME(HIGH) },
	{ "pressed, backed off", 500, .round_sec = 30, .backoff_sec = 60,
	  .pressure = true, .expect = SAME(CLOSED(PRESSED, BACKOFF)) },
	{ "retains, backed off", 500, .retained_mib = 300, .steady_sec = 60,
	  .round_sec = 30, .backoff_sec = 60, .expect = SAME(CLOSED(RETAINING, BACKOFF)) },
	{ "critical, just released", 950, .round_sec = 1,
	  .expect = SAME(SETTLING(COOLDOWN)) },
	{ "critical, cut short", 950, .round_sec = 2, .expect = SAME(CRITICAL) },
	{ "critical, backed off", 950, .round_sec = 2, .backoff_sec = 3600,
	  .expect = SAME(CRITICAL) },
	{ "calm, no members", 500, .no_members = true, .expect = SAME(CALM) },
	{ "high, no members", 850, .no_members = true,
	  .expect = SAME(CLOSED(HIGH, NO_MEMBERS)) },
	{ "critical, no members", 950, .no_members = true,
	  .expect = SAME(CLOSED(CRITICAL, NO_MEMBERS)) },
	{ "high, nobody worth it just now", 850, .quiet_msec = 999,
	  .expect = { HIGH, HIGH, HIGH, CLOSED(HIGH, NOT_WORTH), CLOSED(HIGH, NOT_WORTH),
		      CLOSED(HIGH, NOT_WORTH) } },
	{ "high, nobody worth it a while ago", 850, .quiet_msec = 1000,
	  .expect = SAME(HIGH) },
	{ "critical, nobody worth it just now", 950, .quiet_msec = 199,
	  .expect = { CRITICAL, CRITICAL, CRITICAL, CRITICAL, CLOSED(CRITICAL, NOT_WORTH),
		      CLOSED(CRITICAL, NOT_WORTH) } },
	{ "critical, nobody worth it a while ago", 950, .quiet_msec = 200,
	  .expect = SAME(CRITICAL) },
	{ "retains, nobody worth it just now", 500, .retained_mib = 300, .steady_sec = 60,
	  .quiet_msec = 4999,
	  .expect = { RETAINING, CLOSED(RETAINING, NOT_WORTH),
		      CLOSED(RETAINING, NOT_WORTH), CLOSED(RETAINING, NOT_WORTH),
		      CLOSED(RETAINING, NOT_WORTH), CLOSED(RETAINING, NOT_WORTH) } },
};

static struct group group_at(const struct event *event, enum gate_state before)
{
	struct group group = example();

	group.gate = (struct gate){ .state = before, .since_usec = SEC(7) };
	group.reading.anon_bytes = event->anon_mib * MIB;
	group.heap.retained_bytes = event->retained_mib * MIB;
	group.heap.untold_bytes = event->untold_mib * MIB;
	group.trend.steady_since_usec = NOW - SEC(event->steady_sec);
	if (event->eta_sec > 0) {
		group.trend.growth_bytes_per_sec = 1;
		group.trend.eta_usec = SEC(event->eta_sec);
	}
	if (event->round_sec > 0)
		benefit.last_round_usec = NOW - SEC(event->round_sec);
	benefit.backoff_usec = SEC(event->backoff_sec);
	if (event->quiet_msec > 0) {
		benefit.last_quiet_usec = NOW - event->quiet_msec * USEC_PER_MSEC;
		benefit.last_quiet_reason = REASON_NOT_WORTH;
		benefit.last_quiet_trigger = event->anon_mib >= 920   ? REASON_USAGE_CRITICAL
					     : event->anon_mib >= 800 ? REASON_USAGE_HIGH
								      : REASON_RETAINED;
	}
	group.n_members = event->no_members ? 0 : 1;
	return group;
}

static bool is_held(const struct gate *gate)
{
	return gate->state == GATE_SETTLING || gate->reason == REASON_BACKOFF;
}

static void check_event(const struct event *event, size_t i)
{
	const struct signals signals = { .pressure = event->pressure, .limit_hit = event->limit_hit };
	const enum gate_state before = all_states[i];
	const struct group group = group_at(event, before);
	const struct gate gate = gate_step(&group, &signals, NOW);

	if (gate.state != event->expect[i].state ||
	    gate.reason != event->expect[i].reason)
		printf("# from %s, %s: %s\n", gate_state_to_string(before), event->name,
		       gate_state_to_string(gate.state));
	CHECK_STR(gate_state_to_string(gate.state),
		  gate_state_to_string(event->expect[i].state));
	CHECK_STR(reason_to_string(gate.reason),
		  reason_to_string(event->expect[i].reason));
	CHECK_EQ(gate_is_open(&gate), event->expect[i].open);
	CHECK_EQ(gate.since_usec, gate.state == before ? SEC(7) : NOW);
	CHECK_EQ(gate.until_usec > NOW, is_held(&gate));
	CHECK_EQ(gate.until_usec == 0, !is_held(&gate));
}

static void test_every_event_in_every_state(void)
{
	for (size_t e = 0; e < ARRAY_SIZE(events); e++)
		for (size_t i = 0; i < ARRAY_SIZE(all_states); i++)
			check_event(&events[e], i);
}

static void test_settling_says_when_it_ends(void)
{
	struct group group = example();

	group.reading.anon_bytes = 850 * MIB;
	benefit.last_round_usec = NOW - SEC(5);
	CHECK_EQ(step(&group).until_usec, NOW + SEC(15));

	benefit.backoff_usec = SEC(40);
	CHECK_EQ(step(&group).until_usec, NOW + SEC(55));
	/* First of all it is the cool-down that holds it back. */
	CHECK_EQ(step(&group).reason, REASON_COOLDOWN);

	group.reading.anon_bytes = 500 * MIB;
	CHECK_EQ(step(&group).until_usec, NOW + SEC(15));

	/* The cool-down is over to the microsecond, and the back-off goes on. */
	group.reading.anon_bytes = 850 * MIB;
	benefit.last_round_usec = NOW - SEC(20);
	CHECK_EQ(step(&group).reason, REASON_BACKOFF);
	CHECK_EQ(step(&group).until_usec, NOW + SEC(40));
}

static void test_what_came_back_is_not_called_too_little(void)
{
	struct group group = example();
	struct gate gate;

	group.heap.retained_bytes = 300 * MIB;
	benefit.last_round_usec = NOW - SEC(20);
	benefit.calm_backoff_usec = SEC(80);
	benefit.n_returned = 1;
	gate = step(&group);
	CHECK_EQ(gate.state, GATE_RETAINING);
	CHECK_EQ(gate.reason, REASON_RETURNED);
	CHECK_EQ(gate.until_usec, NOW + SEC(80));
	CHECK(!gate_is_open(&gate));

	/* First of all it is the cool-down. */
	benefit.last_round_usec = NOW - SEC(19);
	CHECK_EQ(step(&group).reason, REASON_COOLDOWN);
	benefit.last_round_usec = NOW - SEC(20);

	/* A try that gave nothing, and whatever lasts longer. */
	benefit.n_returned = 0;
	CHECK_EQ(step(&group).reason, REASON_BACKOFF);
	benefit.n_returned = 1;
	benefit.backoff_usec = SEC(80);
	CHECK_EQ(step(&group).reason, REASON_BACKOFF);

	/* It is not waited for where all is not calm. */
	benefit.backoff_usec = 0;
	group.reading.anon_bytes = 850 * MIB;
	CHECK_EQ(step(&group).reason, REASON_USAGE_HIGH);
}

static void test_a_never_read_group_is_calm(void)
{
	struct group group = example();
	const struct signals all = { .pressure = true, .limit_hit = true };
	struct gate gate;

	group.reading = (struct reading){ 0 };
	group.heap.retained_bytes = UINT64_MAX;
	gate = gate_step(&group, &all, NOW);
	CHECK_EQ(gate.state, GATE_CALM);
	CHECK_EQ(gate.reason, REASON_BELOW);
	CHECK_EQ(gate.since_usec, NOW);
}

static void test_who_left_retains_nothing(void)
{
	struct group g = example();
	struct gate gate;

	g.heap.time_usec = NOW - 1;
	g.heap.retained_bytes = settings.retained_high_bytes;
	CHECK_EQ(gate_step(&g, &none, NOW).state, GATE_RETAINING);
	g.n_members = 0;
	gate = gate_step(&g, &none, NOW);
	CHECK_EQ(gate.state, GATE_CALM);
	CHECK_EQ(gate.reason, REASON_BELOW);
}

static void test_zero_turns_every_threshold_off(void)
{
	const struct signals all = { .pressure = true, .limit_hit = true };
	struct group group = example();

	group.reading.anon_bytes = 1000 * MIB;
	group.trend.growth_bytes_per_sec = INT64_MAX;
	group.trend.eta_usec = 0;
	group.heap.retained_bytes = 900 * MIB;

	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_USAGE_CRITICAL);
	settings.usage_critical_permyriad = 0;
	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_USAGE_HIGH);
	settings.usage_high_permyriad = 0;
	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_PRESSURE);
	settings.pressure_some_permyriad = 0;
	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_OOM_ETA);
	settings.oom_eta_usec = 0;
	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_RETAINED);
	group.heap.untold_bytes = UINT64_MAX;
	settings.retained_high_bytes = 0;
	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_BELOW);

	/* Also from states in which the band lowers a threshold. */
	for (size_t i = 0; i < ARRAY_SIZE(all_states); i++) {
		group.gate.state = all_states[i];
		CHECK_EQ(gate_step(&group, &all, NOW).state, GATE_CALM);
	}
}

static void test_without_a_limit_only_pressure_and_retained_count(void)
{
	const struct signals all = { .pressure = true, .limit_hit = true };
	struct group group = example();

	group.reading.limit_bytes = BYTES_INFINITY;
	group.reading.anon_bytes = UINT64_MAX;
	group.trend.growth_bytes_per_sec = INT64_MAX;
	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_BELOW);

	group.heap.retained_bytes = 32 * MIB;
	CHECK_EQ(gate_step(&group, &all, NOW).reason, REASON_PRESSURE);
	group.heap.retained_bytes = 200 * MIB;
	CHECK_EQ(step(&group).reason, REASON_RETAINED);
}

static void test_pressure_needs_something_to_give_even_if_min_release_is_zero(void)
{
	const struct signals pressure = { .pressure = true };
	struct group group = example();

	group.reading.anon_bytes = MIB;
	settings.min_release_bytes = 0;
	CHECK_EQ(gate_step(&group, &pressure, NOW).reason, REASON_BELOW);
	group.heap.retained_bytes = 1;
	CHECK_EQ(gate_step(&group, &pressure, NOW).reason, REASON_PRESSURE);
}

static void test_what_the_kernel_says_of_a_threshold_counts_as_far_as_its_counters_lag(void)
{
	const struct signals crossed = { .crossed = true };
	struct group group = example();

	group.reading.usage_bytes = 800 * MIB;
	group.reading.anon_bytes = 800 * MIB - 1000 * MIB / 64;
	CHECK_EQ(step(&group).reason, REASON_BELOW);
	CHECK_EQ(gate_step(&group, &crossed, NOW).reason, REASON_USAGE_HIGH);
	/* More than a lag: it is page cache. */
	group.reading.anon_bytes--;
	CHECK_EQ(gate_step(&group, &crossed, NOW).reason, REASON_BELOW);
	/* It told of the way down. */
	group.reading.anon_bytes++;
	group.reading.usage_bytes--;
	CHECK_EQ(gate_step(&group, &crossed, NOW).reason, REASON_BELOW);

	/* Of a large limit not all that is a small part of it. */
	group.reading.limit_bytes = 100 * GIB;
	group.reading.usage_bytes = 80 * GIB;
	group.reading.anon_bytes = 80 * GIB - 16 * MIB;
	CHECK_EQ(gate_step(&group, &crossed, NOW).reason, REASON_USAGE_HIGH);
	group.reading.anon_bytes--;
	CHECK_EQ(gate_step(&group, &crossed, NOW).reason, REASON_BELOW);

	/* Switched off is off. */
	group.reading.anon_bytes = group.reading.usage_bytes;
	settings.usage_high_permyriad = 0;
	CHECK_EQ(gate_step(&group, &crossed, NOW).reason, REASON_BELOW);
}

static void test_pressure_of_the_machine_is_for_what_is_retained(void)
{
	const struct signals machine = { .machine = true };
	struct group group = example();

	group.reading.anon_bytes = 700 * MIB;
	settings.min_release_bytes = 16 * MIB;
	group.heap.retained_bytes = 16 * MIB - 1;
	CHECK_EQ(gate_step(&group, &machine, NOW).reason, REASON_BELOW);
	group.heap.retained_bytes = 16 * MIB;
	CHECK_EQ(gate_step(&group, &machine, NOW).reason, REASON_MACHINE);
	CHECK_EQ(gate_step(&group, &machine, NOW).state, GATE_PRESSED);
	CHECK(gate_is_open(&(struct gate){ .state = GATE_PRESSED, .reason = REASON_MACHINE }));

	/* Not again while the last release settles, and not where it was switched off. */
	benefit.last_round_usec = NOW - 1;
	CHECK_EQ(gate_step(&group, &machine, NOW).reason, REASON_COOLDOWN);
	benefit.last_round_usec = 0;
	settings.machine_pressure_permyriad = 0;
	CHECK_EQ(gate_step(&group, &machine, NOW).reason, REASON_BELOW);
}

static void test_limits_of_zero_and_of_nearly_everything(void)
{
	struct group group = example();

	group.reading.limit_bytes = 0;
	CHECK_EQ(step(&group).state, GATE_CRITICAL);
	group.reading.anon_bytes = 0;
	CHECK_EQ(step(&group).state, GATE_CALM);

	group.reading.limit_bytes = UINT64_MAX - 1;
	group.reading.anon_bytes = UINT64_MAX - 1;
	CHECK_EQ(step(&group).state, GATE_CRITICAL);
	group.reading.anon_bytes = UINT64_MAX / 100 * 85;
	CHECK_EQ(step(&group).state, GATE_HIGH);
	group.reading.anon_bytes = UINT64_MAX / 100 * 50;
	CHECK_EQ(step(&group).state, GATE_CALM);
}

static void test_times_beyond_the_end_saturate(void)
{
	struct group group = example();
	struct gate gate;

	group.reading.anon_bytes = 850 * MIB;
	benefit.last_round_usec = NOW - SEC(100);
	benefit.backoff_usec = UINT64_MAX;
	gate = step(&group);
	CHECK_EQ(gate.reason, REASON_BACKOFF);
	CHECK(gate.until_usec == UINT64_MAX);

	settings.cooldown_usec = UINT64_MAX;
	CHECK_EQ(step(&group).reason, REASON_COOLDOWN);

	/* A round that seems to end in the future (another CPU's clock) is just fresh. */
	settings.cooldown_usec = SEC(20);
	benefit.backoff_usec = 0;
	benefit.last_round_usec = NOW + 1;
	CHECK_EQ(step(&group).until_usec, NOW + SEC(20) + 1);

	benefit.last_round_usec = 0;
	group.trend.steady_since_usec = NOW + SEC(1);
	group.reading.anon_bytes = 500 * MIB;
	group.heap.retained_bytes = 300 * MIB;
	CHECK_EQ(step(&group).state, GATE_CALM);
}

static void test_thresholds_below_the_band_do_not_turn_off(void)
{
	struct group group = example();

	/* 2 % less the band would be below nothing: at half of it is the end. */
	settings.usage_high_permyriad = 200;
	settings.usage_critical_permyriad = 0;
	group.gate.state = GATE_HIGH;
	group.reading.anon_bytes = 500 * MIB;
	CHECK_EQ(step(&group).state, GATE_HIGH);
	group.reading.anon_bytes = 10 * MIB;
	CHECK_EQ(step(&group).state, GATE_HIGH);
	group.reading.anon_bytes = 10 * MIB - 1;
	CHECK_EQ(step(&group).state, GATE_CALM);
	group.reading.anon_bytes = 0;
	CHECK_EQ(step(&group).state, GATE_CALM);

	/* 5 %: neither is it below half. */
	settings.usage_high_permyriad = 500;
	group.reading.anon_bytes = 25 * MIB;
	CHECK_EQ(step(&group).state, GATE_HIGH);
	group.reading.anon_bytes = 25 * MIB - 1;
	CHECK_EQ(step(&group).state, GATE_CALM);
	settings.usage_high_permyriad = 1;
	CHECK_EQ(gate_end_permyriad(&settings), 1);
}

int main(void)
{
	RUN(test_every_event_in_every_state);
	RUN(test_settling_says_when_it_ends);
	RUN(test_what_came_back_is_not_called_too_little);
	RUN(test_a_never_read_group_is_calm);
	RUN(test_who_left_retains_nothing);
	RUN(test_zero_turns_every_threshold_off);
	RUN(test_without_a_limit_only_pressure_and_retained_count);
	RUN(test_pressure_needs_something_to_give_even_if_min_release_is_zero);
	RUN(test_what_the_kernel_says_of_a_threshold_counts_as_far_as_its_counters_lag);
	RUN(test_pressure_of_the_machine_is_for_what_is_retained);
	RUN(test_limits_of_zero_and_of_nearly_everything);
	RUN(test_times_beyond_the_end_saturate);
	RUN(test_thresholds_below_the_band_do_not_turn_off);

	return TEST_RESULT();
}
