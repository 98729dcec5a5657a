/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a round teaches: sums, and the back-off that doubles and clears. */

#include "tests/unit/benefit-fixture.h"

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
		CHECK_EQ(b.n_disappointing, i + 1);
	}

	b = add(b, released(100, 100));
	CHECK_EQ(b.backoff_usec, 0);
	CHECK_EQ(b.n_disappointing, 0);
}

static void test_back_off_begins_somewhere_even_without_a_cooldown(void)
{
	struct group_settings none = { .min_release_bytes = 1 };
	struct group group = { .settings = &none };
	const struct outcome outcome = released(1, 0);

	CHECK_EQ(benefit_add(&group, &outcome).backoff_usec, SEC(1));
	none.cooldown_usec = UINT64_MAX;
	CHECK_EQ(benefit_add(&group, &outcome).backoff_usec, SEC(3600));
}

static void test_who_does_not_answer_is_counted(void)
{
	struct outcome outcome = released(100, 0);
	struct benefit b;

	outcome.n_asked = 3;
	b = add((struct benefit){ 0 }, outcome);
	CHECK_EQ(b.last_n_silent, 2);
	/* It did not help all the same. */
	CHECK(b.backoff_usec > 0);
	CHECK_EQ(add(b, released(8, 15)).last_n_silent, 0);
}

static void test_what_was_enough_does_not_disappoint(void)
{
	struct outcome outcome = released(8, 15);
	struct benefit b;

	outcome.n_not_needed = 2;
	b = add((struct benefit){ 0 }, outcome);
	CHECK_EQ(b.backoff_usec, 0);
	CHECK_EQ(b.last_n_not_needed, 2);
	CHECK_EQ(add(b, released(8, 15)).last_n_not_needed, 0);
	CHECK_EQ(b.last_n_silent, 0);

	/* But what gave less than it should. */
	outcome.expected_bytes = 100 * MIB;
	CHECK_EQ(add((struct benefit){ 0 }, outcome).backoff_usec, SEC(30));
}

/* It became critical meanwhile: what the program took is not what the release failed to give. */
static void test_a_round_that_hurried_is_judged_by_what_was_given(void)
{
	struct outcome outcome = released(100, 0);
	struct benefit b;

	outcome.hurried = REASON_USAGE_CRITICAL;
	outcome.rss_before_bytes = 400 * MIB;
	outcome.rss_after_bytes = 375 * MIB;
	b = add((struct benefit){ .backoff_usec = 1, .urgent_backoff_usec = 1 }, outcome);
	CHECK_EQ(b.backoff_usec, 0);
	CHECK_EQ(b.urgent_backoff_usec, 0);

	/* And as urgent as it was at last, whoever began it. */
	outcome.trigger = REASON_COMMAND;
	outcome.rss_after_bytes = 400 * MIB;
	b = add((struct benefit){ 0 }, outcome);
	CHECK_EQ(b.backoff_usec, SEC(30));
	CHECK_EQ(b.urgent_backoff_usec, SEC(1));
	outcome.hurried = REASON_NONE;
	b = add((struct benefit){ 0 }, outcome);
	CHECK_EQ(b.backoff_usec, 0);
	CHECK_EQ(b.urgent_backoff_usec, 0);
}

/* Parts of huge pages: freed, still charged, and the kernel's to take before it kills. */
static void test_what_is_held_has_paid(void)
{
	struct outcome outcome = released(100, 0);

	outcome.rss_before_bytes = 400 * MIB;
	outcome.rss_after_bytes = 300 * MIB;
	CHECK_EQ(add((struct benefit){ 0 }, outcome).backoff_usec, SEC(30));
	outcome.held_after_bytes = 90 * MIB;
	CHECK_EQ(add((struct benefit){ 0 }, outcome).backoff_usec, 0);
	CHECK_EQ(add((struct benefit){ 0 }, outcome).last_released_bytes, 90 * MIB);
	CHECK_EQ(add((struct benefit){ 0 }, outcome).last_usage_bytes, 410 * MIB);
	CHECK_EQ(add((struct benefit){ 0 }, outcome).released_bytes, 0);
	outcome.held_after_bytes = 15 * MIB;
	CHECK_EQ(add((struct benefit){ 0 }, outcome).backoff_usec, SEC(30));
	outcome.usage_after_bytes -= 10 * MIB;
	CHECK_EQ(add((struct benefit){ 0 }, outcome).backoff_usec, 0);
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

/* A leak: what is asked of it again and again comes to nothing. */
static void test_near_a_kill_back_off_begins_at_a_second_and_ends_at_32(void)
{
	static const uint64_t expect_sec[] = { 1, 2, 4, 8, 16, 32, 32 };
	struct outcome useless = released(0, 0);
	struct benefit b = { 0 };

	useless.trigger = REASON_USAGE_CRITICAL;
	for (size_t i = 0; i < ARRAY_SIZE(expect_sec); i++) {
		b = add(b, useless);
		CHECK_EQ(b.urgent_backoff_usec, SEC(expect_sec[i]));
	}

	/* What disappoints at other times is none of its business, and a good one ends it. */
	b = add(b, released(100, 0));
	CHECK_EQ(b.urgent_backoff_usec, SEC(32));
	b = add(b, released(100, 100));
	CHECK_EQ(b.urgent_backoff_usec, 0);
	b = add(b, released(100, 0));
	CHECK_EQ(b.urgent_backoff_usec, 0);
}

static void test_near_a_kill_a_64th_of_the_limit_pays(void)
{
	const struct benefit before = { .urgent_backoff_usec = SEC(4) };
	struct outcome little = released(400, 10), less = released(400, 9);

	little.trigger = less.trigger = REASON_USAGE_CRITICAL;
	CHECK_EQ(add(before, little).urgent_backoff_usec, 0);
	CHECK_EQ(add(before, less).urgent_backoff_usec, SEC(8));

	/* Somebody else has taken at once what the members gave. */
	less.rss_before_bytes = 100 * MIB;
	less.rss_after_bytes = 90 * MIB;
	CHECK_EQ(add(before, less).urgent_backoff_usec, 0);
}

/* Released 200 MiB of 500 while calm; after a minute @mib of them are in use again. */
static struct outcome looked_at(uint64_t mib)
{
	struct outcome outcome = released(200, 200);

	outcome.trigger = REASON_RETAINED;
	outcome.look = (struct look){
		.state = LOOK_TAKEN,
		.age_usec = LOOK_AFTER_USEC,
		.usage_bytes = (300 + mib) * MIB,
		.rss_grown_bytes = mib * MIB,
	};
	return outcome;
}

static void test_only_what_both_have_grown_by_has_returned(void)
{
	struct outcome outcome = looked_at(50);

	CHECK_EQ(outcome_returned_bytes(&outcome), 50 * MIB);
	outcome.look.rss_grown_bytes = 40 * MIB;
	CHECK_EQ(outcome_returned_bytes(&outcome), 40 * MIB);
	outcome.look.usage_bytes = 310 * MIB;
	CHECK_EQ(outcome_returned_bytes(&outcome), 10 * MIB);
	outcome.look.usage_bytes = 200 * MIB;
	CHECK_EQ(outcome_returned_bytes(&outcome), 0);
	outcome = looked_at(900);
	CHECK_EQ(outcome_returned_bytes(&outcome), 200 * MIB);
}

static void test_what_returns_while_calm_is_released_ever_later(void)
{
	static const uint64_t expect_sec[] = { 30, 60, 120, 240, 300, 300 };
	struct benefit benefit = { 0 };
	const struct group group = {
		.settings = &settings,
		.benefit = &benefit,
		.reading = { .limit_bytes = BYTES_INFINITY },
	};
	struct outcome half = looked_at(100), less = looked_at(99);

	for (size_t i = 0; i < ARRAY_SIZE(expect_sec); i++) {
		benefit = benefit_look(&group, &half);
		CHECK_EQ(benefit.calm_backoff_usec, SEC(expect_sec[i]));
		CHECK_EQ(benefit.returned_bytes, 100 * MIB);
		CHECK_EQ(benefit.look_usec, SEC(100));
	}

	CHECK_EQ(benefit.n_returned, ARRAY_SIZE(expect_sec));

	/* Before a minute is over less says nothing. */
	less.look.age_usec = LOOK_AFTER_USEC - 1;
	CHECK_EQ(benefit_look(&group, &less).calm_backoff_usec, SEC(300));
	less.look.age_usec = LOOK_AFTER_USEC;
	CHECK_EQ(benefit_look(&group, &less).calm_backoff_usec, 0);
	CHECK_EQ(benefit_look(&group, &less).n_returned, 0);
	CHECK_EQ(benefit.backoff_usec, 0);

	half.trigger = less.trigger = REASON_LEFT;
	benefit = benefit_look(&group, &half);
	CHECK_EQ(benefit.calm_backoff_usec, SEC(300));
	CHECK_EQ(benefit_look(&group, &less).calm_backoff_usec, 0);
}

static void test_who_gave_nothing_when_tried_is_tried_ever_later(void)
{
	static const uint64_t expect_sec[] = { 30, 60, 120, 240, 300, 300 };
	struct benefit benefit = { 0 };
	const struct group group = {
		.settings = &settings,
		.benefit = &benefit,
		.reading = { .limit_bytes = BYTES_INFINITY },
	};
	struct outcome outcome = {
		.trigger = REASON_UNTOLD,
		.end_usec = SEC(100),
		.n_asked = 1,
		.n_answered = 1,
	};

	for (size_t i = 0; i < ARRAY_SIZE(expect_sec); i++) {
		benefit = benefit_add(&group, &outcome);
		CHECK_EQ(benefit.calm_backoff_usec, SEC(expect_sec[i]));
		/* Nothing is said of others, who have figures, nor of the next peak. */
		CHECK_EQ(benefit.backoff_usec, 0);
	}
}

static void test_near_the_limit_what_returns_was_worth_it(void)
{
	struct benefit benefit = { .calm_backoff_usec = SEC(60) };
	struct group_settings high = settings;
	struct outcome all = looked_at(200);
	struct group group = {
		.settings = &high,
		.benefit = &benefit,
		.reading = { .limit_bytes = 600 * MIB },
		.peak_bytes = 600 * MIB, /* with page cache */
		.peak_anon_kib = 480 * 1024,
	};

	high.usage_high_permyriad = 8000;
	CHECK_EQ(benefit_look(&group, &all).calm_backoff_usec, 0);
	group.peak_anon_kib--;
	CHECK_EQ(benefit_look(&group, &all).calm_backoff_usec, SEC(120));

	/* Nor is it held against a release that was needed. */
	all.trigger = REASON_USAGE_HIGH;
	CHECK_EQ(benefit_look(&group, &all).calm_backoff_usec, SEC(60));
	CHECK_EQ(benefit_look(&group, &all).returned_bytes, 200 * MIB);
}

static void test_of_a_group_that_is_gone_nothing_is_learnt(void)
{
	const struct group group = { .settings = &settings };
	struct outcome gone = looked_at(200);

	gone.look.state = LOOK_GONE;
	CHECK_EQ(benefit_look(&group, &gone).calm_backoff_usec, 0);
	CHECK_EQ(benefit_look(&group, &gone).look_usec, 0);
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

/* Whatever its members claim, who gave nothing is asked again when nobody else is left to ask. */
static void test_the_richest_is_who_has_it_and_gives_it(void)
{
	struct group liar = { .heap.retained_bytes = UINT64_MAX, .reading.usage_bytes = 300 * MIB };
	struct group honest = { .heap.retained_bytes = 200 * MIB, .reading.usage_bytes = 500 * MIB };
	struct benefit vain = add((struct benefit){ 0 }, released(100, 0));

	CHECK(benefit_is_richer(&liar, &honest));
	liar.reading.usage_bytes = 199 * MIB;
	CHECK(!benefit_is_richer(&liar, &honest));
	CHECK(benefit_is_richer(&honest, &liar));

	liar.reading.usage_bytes = 300 * MIB;
	liar.benefit = &vain;
	CHECK(!benefit_is_richer(&liar, &honest));
	CHECK(benefit_is_richer(&honest, &liar));
	honest.benefit = &vain;
	CHECK(benefit_is_richer(&liar, &honest));
}

int main(void)
{
	RUN(test_the_richest_is_who_has_it_and_gives_it);
	RUN(test_a_good_release_is_remembered_without_back_off);
	RUN(test_a_quarter_of_the_expected_is_enough);
	RUN(test_less_than_min_release_disappoints_whatever_was_expected);
	RUN(test_back_off_doubles_up_to_an_hour_and_clears_at_once);
	RUN(test_back_off_begins_somewhere_even_without_a_cooldown);
	RUN(test_who_does_not_answer_is_counted);
	RUN(test_what_was_enough_does_not_disappoint);
	RUN(test_a_round_that_hurried_is_judged_by_what_was_given);
	RUN(test_what_is_held_has_paid);
	RUN(test_a_failed_round_disappoints);
	RUN(test_growth_during_a_release_is_not_a_negative_release);
	RUN(test_a_command_clears_but_never_lengthens);
	RUN(test_near_a_kill_back_off_begins_at_a_second_and_ends_at_32);
	RUN(test_near_a_kill_a_64th_of_the_limit_pays);
	RUN(test_only_what_both_have_grown_by_has_returned);
	RUN(test_what_returns_while_calm_is_released_ever_later);
	RUN(test_who_gave_nothing_when_tried_is_tried_ever_later);
	RUN(test_near_the_limit_what_returns_was_worth_it);
	RUN(test_of_a_group_that_is_gone_nothing_is_learnt);
	RUN(test_sums_saturate);

	return TEST_RESULT();
}
