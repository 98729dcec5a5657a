/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What happens at a limit that groups share: who hears of it, and who of them tells people. */

#include "agent/basic/macro.h"
#include "agent/policy/shared.h"
#include "agent/policy/warn.h"
#include "tests/unit/test.h"

#define T0 (1000 * USEC_PER_SEC)
#define N 3

static struct reading next;
static struct group one;

static bool step(void)
{
	const bool hit = shared_step(&one, &next);

	one.reading = next;
	return hit;
}

static void begin_events(void)
{
	one = (struct group){ 0 };
	next = (struct reading){ .above = { 100, 7, 9, 2 } };
	CHECK(!step());
}

static void test_a_hit_of_the_shared_limit_is_news_once(void)
{
	begin_events();
	CHECK(!step());
	next.above.n_max++;
	CHECK(step());
	CHECK(!step());
	/* Another one's count, and none. */
	next.above = (struct limit_events){ .n_max = 500, .level = 1 };
	CHECK(!step());
	next.above = (struct limit_events){ 0 };
	CHECK(!step());
	CHECK_EQ(one.shared.n_kills, 0);
}

static void test_kills_in_other_groups_for_that_limit_count(void)
{
	begin_events();
	next.above.n_oom++;
	next.above.n_oom_kill += 2;
	(void)step();
	CHECK_EQ(one.shared.n_kills, 2);
	CHECK_EQ(one.shared_level, 2);

	/* Seen in two readings. */
	next.above.n_oom++;
	(void)step();
	CHECK_EQ(one.shared.n_kills, 2);
	next.above.n_oom_kill++;
	(void)step();
	CHECK_EQ(one.shared.n_kills, 3);
}

static void test_kills_of_its_own_and_for_limits_of_others_do_not(void)
{
	begin_events();
	next.above.n_oom_kill++;
	(void)step();
	CHECK_EQ(one.shared.n_kills, 0);

	next.above.n_oom++;
	next.above.n_oom_kill++;
	next.n_oom_kill++;
	(void)step();
	CHECK_EQ(one.shared.n_kills, 0);
	next.above.n_oom++;
	next.above.n_oom_kill += 3;
	next.n_oom_kill++;
	(void)step();
	CHECK_EQ(one.shared.n_kills, 2);
}

static struct group groups[N];
static struct alert_memory memories[N];
static struct group_settings settings;
static unsigned int n_told[N];

static void begin(void)
{
	static char paths[N][32] = { "/pod/a", "/pod/b", "/pod/c/d" };

	settings = (struct group_settings){
		.usage_high_permyriad = 8000,
		.usage_critical_permyriad = 9200,
		.cooldown_usec = 10 * USEC_PER_SEC,
	};
	memset(memories, 0, sizeof(memories));
	memset(n_told, 0, sizeof(n_told));
	for (int i = 0; i < N; i++)
		groups[i] = (struct group){
			.path = paths[i],
			.n_members = 1,
			.settings = &settings,
			.limit_level = i < 2 ? 1 : 2,
			.trend.eta_usec = USEC_INFINITY,
			.reading = { .time_usec = T0, .limit_bytes = 1000 * MIB },
		};
}

/* 200, 300 and 400 MiB, and @rest_mib that nobody guards. */
static void use(uint64_t rest_mib)
{
	for (unsigned int i = 0; i < N; i++) {
		groups[i].reading.anon_bytes = (200 + 100 * i) * MIB;
		groups[i].reading.others_bytes = (700 - 100 * i + rest_mib) * MIB;
	}
}

/* What core does with a look at one of them. Who tells, or -1. */
static int look(int i, enum alert_kind kind, uint64_t now_usec)
{
	const struct alert_memory before = memories[i];
	const struct warn warn = warn_step(&memories[i], &groups[i], now_usec);
	int speaker = i;

	memories[i] = warn.memory;
	if (!(warn.due & 1U << kind))
		return -1;

	for (int j = 0; j < N && warn_is_common(&warn, &groups[i], kind); j++) {
		const enum warn_rank rank = warn_rank(&groups[speaker], &groups[j], &memories[j],
						      kind, now_usec);

		if (j == i)
			continue;
		if (rank == WARN_TOLD) {
			warn_leave(&memories[i], kind == ALERT_OOM_KILL ? &before : &memories[j],
				   kind);
			return -1;
		}
		if (rank == WARN_LARGER)
			speaker = j;
	}

	n_told[speaker]++;
	for (int j = 0; j < N && kind != ALERT_OOM_KILL; j++)
		if (j != i && group_shares_limit(&groups[i], &groups[j]))
			warn_leave(&memories[j], &memories[i], kind);
	return speaker;
}

/* All of them, ten times a second, until @until_usec. */
static void look_until(enum alert_kind kind, uint64_t from_usec, uint64_t until_usec)
{
	for (uint64_t usec = from_usec; usec < until_usec; usec += 100 * USEC_PER_MSEC)
		for (int i = 0; i < N; i++)
			(void)look(i, kind, usec + (uint64_t)i * 20 * USEC_PER_MSEC);
}

static void check_told(unsigned int a, unsigned int b, unsigned int c)
{
	CHECK_EQ(n_told[0], a);
	CHECK_EQ(n_told[1], b);
	CHECK_EQ(n_told[2], c);
}

static void test_of_all_at_one_limit_the_largest_warns_once(void)
{
	begin();
	use(50);
	look_until(ALERT_USAGE_CRITICAL, T0, T0 + 200 * USEC_PER_SEC);
	check_told(0, 0, 1);

	/* Over, and so again: the pause holds for all of them. */
	use(0);
	look_until(ALERT_USAGE_CRITICAL, T0 + 200 * USEC_PER_SEC, T0 + 201 * USEC_PER_SEC);
	use(50);
	look_until(ALERT_USAGE_CRITICAL, T0 + 201 * USEC_PER_SEC, T0 + 210 * USEC_PER_SEC);
	check_told(0, 0, 2);
	use(0);
	look_until(ALERT_USAGE_CRITICAL, T0 + 210 * USEC_PER_SEC, T0 + 211 * USEC_PER_SEC);
	use(50);
	look_until(ALERT_USAGE_CRITICAL, T0 + 211 * USEC_PER_SEC, T0 + 240 * USEC_PER_SEC);
	check_told(0, 0, 2);
	look_until(ALERT_USAGE_CRITICAL, T0 + 240 * USEC_PER_SEC, T0 + 900 * USEC_PER_SEC);
	check_told(0, 0, 3);
}

static void test_who_comes_later_does_not_tell_it_again(void)
{
	begin();
	use(50);
	for (int i = 0; i < 20; i++)
		(void)look(1, ALERT_USAGE_CRITICAL, T0 + (uint64_t)i * 100 * USEC_PER_MSEC);
	check_told(0, 1, 0);
	memories[0] = memories[2] = (struct alert_memory){ 0 };
	look_until(ALERT_USAGE_CRITICAL, T0 + 2 * USEC_PER_SEC, T0 + 900 * USEC_PER_SEC);
	check_told(0, 1, 0);
}

static void test_another_limit_has_its_own_warning(void)
{
	begin();
	use(50);
	groups[1].limit_level = 0;
	look_until(ALERT_USAGE_CRITICAL, T0, T0 + 5 * USEC_PER_SEC);
	check_told(0, 1, 1);
}

/* The largest is told of later than the others, or was told of nothing. */
static void test_who_does_not_see_it_is_not_waited_for(void)
{
	begin();
	use(50);
	groups[2].n_members = 0;
	look_until(ALERT_USAGE_CRITICAL, T0, T0 + 5 * USEC_PER_SEC);
	check_told(0, 1, 0);
}

static void test_a_kill_beside_all_is_told_once(void)
{
	begin();
	use(0);
	look_until(ALERT_OOM_KILL, T0, T0 + USEC_PER_SEC);
	for (int i = 0; i < N; i++) {
		groups[i].shared.n_kills = 1;
		groups[i].shared_level = i < 2 ? 1 : 2;
		/* It made room. */
		groups[i].limit_level = 0;
	}
	look_until(ALERT_OOM_KILL, T0 + USEC_PER_SEC, T0 + 300 * USEC_PER_SEC);
	CHECK_EQ(n_told[0] + n_told[1] + n_told[2], 1);
}

static void test_a_kill_in_one_of_them_is_told_by_that_one(void)
{
	begin();
	use(0);
	look_until(ALERT_OOM_KILL, T0, T0 + USEC_PER_SEC);
	groups[0].shared.n_kills = groups[2].shared.n_kills = 1;
	groups[0].shared_level = 1;
	groups[2].shared_level = 2;
	(void)look(0, ALERT_OOM_KILL, T0 + USEC_PER_SEC);
	groups[1].reading.n_oom_kill = 1;
	look_until(ALERT_OOM_KILL, T0 + USEC_PER_SEC, T0 + 300 * USEC_PER_SEC);
	check_told(0, 1, 0);

	/* And soon, whoever has told what. */
	groups[0].shared.n_kills = 2;
	look_until(ALERT_OOM_KILL, T0 + 300 * USEC_PER_SEC, T0 + 303 * USEC_PER_SEC);
	check_told(1, 1, 0);
	groups[1].reading.n_oom_kill = 2;
	look_until(ALERT_OOM_KILL, T0 + 303 * USEC_PER_SEC, T0 + 304 * USEC_PER_SEC);
	check_told(1, 2, 0);
}

int main(void)
{
	RUN(test_a_hit_of_the_shared_limit_is_news_once);
	RUN(test_kills_in_other_groups_for_that_limit_count);
	RUN(test_kills_of_its_own_and_for_limits_of_others_do_not);
	RUN(test_of_all_at_one_limit_the_largest_warns_once);
	RUN(test_who_comes_later_does_not_tell_it_again);
	RUN(test_another_limit_has_its_own_warning);
	RUN(test_who_does_not_see_it_is_not_waited_for);
	RUN(test_a_kill_beside_all_is_told_once);
	RUN(test_a_kill_in_one_of_them_is_told_by_that_one);

	return TEST_RESULT();
}
