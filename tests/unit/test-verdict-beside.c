/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verdicts of groups that are charged for what is no member's. */

#include "tests/unit/verdict-fixture.h"

/* 900 MiB are charged, 100 of them to a member; 80 less were when the group was read last. */
static struct group group_beside(const struct beside *beside)
{
	struct member m = process_of(100, 95, 90, 0);

	sums = (struct sums){ 0 };
	verdict_sum(&sums, &m, METHOD_AUTO);
	sums.beside = beside;
	return (struct group){
		.settings = &all_off,
		.kind = GROUP_V1,
		.n_members = 1,
		.reading = { .time_usec = 1, .anon_bytes = (beside ? 820 : 900) * MIB, .limit_bytes = BYTES_INFINITY },
	};
}

static void test_processes_without_the_hook_are_named(void)
{
	const struct beside beside = { .charged_bytes = 900 * MIB, .anon_bytes = 900 * MIB, .n_processes = 2 };
	struct group g = group_beside(&beside);

	CHECK_STR(name(&g), "not-malloc");
	CHECK(has_advice(ADVICE_HOOK) && !has_advice(ADVICE_MAPS));
	CHECK(has_fact(FACT_UNHOOKED_BYTES, 800 * MIB));

	/* Of resident memory nothing else is known, and it can be nothing else. */
	g = group_beside(NULL);
	g.kind = GROUP_RSS;
	CHECK_STR(name(&g), "not-malloc");
	CHECK(has_advice(ADVICE_HOOK));
	CHECK(has_fact(FACT_UNHOOKED_BYTES, 790 * MIB));
}

static void test_a_member_that_has_ended_is_not_taken_for_memory_outside_malloc(void)
{
	struct group g = group_beside(NULL);

	CHECK_STR(name(&g), "not-malloc");
	sums.has_parted = true;
	CHECK_STR(name(&g), "unknown");
	g.kind = GROUP_RSS;
	CHECK_STR(name(&g), "unknown");

	/* So it is told of a group whose last member ended right after it. */
	verdict_leave(&sums, &g.reading);
	CHECK_STR(name(&g), "unknown");

	/* One that was small, beside much that is no member's. */
	g = group_beside(NULL);
	sums.anon_bytes = 600 * MIB;
	sums.has_parted = true;
	CHECK_STR(name(&g), "not-malloc");
}

static void test_what_is_no_process_is_not_said_to_be_one_without_the_hook(void)
{
	static const struct {
		struct beside beside;
		enum fact fact;
		enum advice advice;
	} cases[] = {
		{ { .shmem_bytes = 790 * MIB }, FACT_SHMEM_BYTES, ADVICE_SHARED },
		{ { .kernel_bytes = 790 * MIB }, FACT_KERNEL_BYTES, ADVICE_KERNEL },
		{ { .locked_bytes = 790 * MIB }, FACT_LOCKED_BYTES, ADVICE_LOCKED },
		{ { .below_bytes = 790 * MIB }, FACT_BELOW_BYTES, ADVICE_BELOW },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct beside beside = cases[i].beside;
		struct group g = group_beside(&beside);

		beside.charged_bytes = 900 * MIB;
		beside.n_processes = 1;
		beside.anon_bytes = 95 * MIB + beside.below_bytes;
		CHECK_STR(name(&g), "not-malloc");
		CHECK(has_fact(cases[i].fact, 790 * MIB));
		CHECK(has_fact(FACT_CHARGED_BYTES, 900 * MIB));
		CHECK(!has_fact(FACT_UNHOOKED_BYTES, 0) && !has_fact(FACT_ANON_BYTES, 900 * MIB));
		CHECK(has_advice(cases[i].advice));
		CHECK_EQ(d.n_advice, 1);
	}

	/* Not looked for: nothing is said. */
	struct group g = group_beside(NULL);
	CHECK_STR(name(&g), "not-malloc");
	CHECK(!has_fact(FACT_UNHOOKED_BYTES, 800 * MIB));
	CHECK(has_advice(ADVICE_MAPS) && !has_advice(ADVICE_HOOK));
}

static void test_what_a_member_has_got_since_it_was_looked_at_is_nobody_elses(void)
{
	const struct beside beside = { .charged_bytes = 900 * MIB, .anon_bytes = 895 * MIB, .n_processes = 1 };
	struct group g = group_beside(&beside);

	CHECK_STR(name(&g), "unknown");
}

static void test_evidence_and_advice_of_all_kinds_have_room(void)
{
	const struct beside beside = {
		.charged_bytes = 900 * MIB, .anon_bytes = 500 * MIB, .below_bytes = 100 * MIB, .shmem_bytes = 100 * MIB,
		.locked_bytes = 100 * MIB, .kernel_bytes = 100 * MIB, .n_processes = 2,
	};
	struct group g = group_beside(&beside);

	sums.n_threads = 100;
	CHECK_STR(name(&g), "not-malloc");
	CHECK(has_fact(FACT_THREADS, 100));
	CHECK_EQ(d.n_evidence, DIAGNOSIS_EVIDENCE_MAX);
	CHECK(has_advice(ADVICE_HOOK));
}

int main(void)
{
	RUN(test_processes_without_the_hook_are_named);
	RUN(test_a_member_that_has_ended_is_not_taken_for_memory_outside_malloc);
	RUN(test_what_is_no_process_is_not_said_to_be_one_without_the_hook);
	RUN(test_what_a_member_has_got_since_it_was_looked_at_is_nobody_elses);
	RUN(test_evidence_and_advice_of_all_kinds_have_room);

	return TEST_RESULT();
}
