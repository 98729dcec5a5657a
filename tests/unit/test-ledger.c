/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The ring of outcomes, and the words of the model: every value has its own name. */

#include "agent/model/ledger.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/model/group.h"
#include "agent/model/kill.h"
#include "tests/unit/test.h"

static struct ledger ledger;

static void append(uint64_t round, uint64_t released_bytes)
{
	const struct outcome outcome = {
		.round = round,
		.kind = OUTCOME_RELEASED,
		.trigger = REASON_USAGE_HIGH,
		.n_asked = 1,
		.usage_before_bytes = released_bytes,
	};

	ledger_append(&ledger, &outcome, "/x.slice/x.service");
}

static void test_an_empty_ledger_has_no_newest(void)
{
	ledger = (struct ledger){ 0 };
	CHECK(!ledger_at(&ledger, 0));
	CHECK(!ledger_at(&ledger, SIZE_MAX));
}

/* By its page alone can be told where the kernel has given memory. */
static bool is_resident(const void *memory)
{
	const uintptr_t page = (uintptr_t)memory & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
	unsigned char state = 0;

	return mincore((void *)page, 1, &state) == 0 && state & 1;
}

static bool next_is_resident(const struct ledger *at)
{
	const size_t next = at->n_appended % LEDGER_SIZE;

	return is_resident(&at->outcomes[next]) &&
	       is_resident((const char *)&at->outcomes[next + 1] - 1) && is_resident(at->names[next]);
}

static void test_the_next_place_has_its_memory(void)
{
	struct ledger *fresh = mmap(NULL, sizeof(*fresh), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct outcome outcome = { .round = 1, .kind = OUTCOME_RELEASED, .n_asked = 1 };

	CHECK(fresh != MAP_FAILED);
	(void)madvise(fresh, sizeof(*fresh), MADV_NOHUGEPAGE);
	CHECK(!next_is_resident(fresh));
	ledger_touch(fresh);
	for (size_t i = 0; i < LEDGER_SIZE; i++) {
		CHECK(next_is_resident(fresh));
		ledger_append(fresh, &outcome, "/x");
	}
	CHECK(next_is_resident(fresh));
	munmap(fresh, sizeof(*fresh));
}

static void test_the_newest_is_at_zero(void)
{
	ledger = (struct ledger){ 0 };
	append(1, 10);
	append(2, 20);
	CHECK_EQ(ledger_at(&ledger, 0)->round, 2);
	CHECK_EQ(ledger_at(&ledger, 1)->round, 1);
	CHECK(!ledger_at(&ledger, 2));
	CHECK_EQ(ledger.released_bytes, 30);
}

static void test_a_full_ring_forgets_the_oldest_only(void)
{
	ledger = (struct ledger){ 0 };
	for (uint64_t i = 1; i <= 3 * LEDGER_SIZE + 5; i++)
		append(i, 1);

	for (size_t back = 0; back < LEDGER_SIZE; back++)
		CHECK_EQ(ledger_at(&ledger, back)->round, 3 * LEDGER_SIZE + 5 - back);
	CHECK(!ledger_at(&ledger, LEDGER_SIZE));
	CHECK_EQ(ledger.n_appended, 3 * LEDGER_SIZE + 5);
	CHECK_EQ(ledger.released_bytes, 3 * LEDGER_SIZE + 5);
}

static void test_a_round_is_found_as_long_as_it_is_kept(void)
{
	ledger = (struct ledger){ 0 };
	CHECK(!ledger_find(&ledger, 0));
	for (uint64_t i = 1; i <= LEDGER_SIZE + 1; i++)
		append(i, 1);

	CHECK(!ledger_find(&ledger, 1));
	CHECK(ledger_find(&ledger, 2) == ledger_at(&ledger, LEDGER_SIZE - 1));
	CHECK(ledger_find(&ledger, LEDGER_SIZE + 1) == ledger_at(&ledger, 0));
	CHECK(!ledger_find(&ledger, LEDGER_SIZE + 2));
}

static void test_quiet_outcomes_are_only_counted(void)
{
	const struct outcome quiet = {
		.round = 1,
		.kind = OUTCOME_NOTHING,
		.trigger = REASON_USAGE_HIGH,
		.usage_before_bytes = 10,
	};

	ledger = (struct ledger){ 0 };
	ledger_append(&ledger, &quiet, "x");
	CHECK_EQ(ledger.n_quiet, 1);
	CHECK_EQ(ledger.n_appended, 0);
	CHECK_EQ(ledger.released_bytes, 0);
	CHECK(!ledger_at(&ledger, 0));
}

static void test_a_command_is_kept_even_if_nobody_was_asked(void)
{
	const struct outcome nobody = {
		.round = 1,
		.kind = OUTCOME_NOTHING,
		.trigger = REASON_COMMAND,
		.usage_before_bytes = 10,
	};

	ledger = (struct ledger){ 0 };
	ledger_append(&ledger, &nobody, "x");
	CHECK_EQ(ledger.n_quiet, 0);
	CHECK_EQ(ledger_at(&ledger, 0)->round, 1);
	/* Usage fell meanwhile, but not by our doing. */
	CHECK_EQ(ledger.released_bytes, 0);
}

static void test_a_failed_round_is_not_quiet(void)
{
	const struct outcome failed = { .kind = OUTCOME_FAILED,
					.trigger = REASON_USAGE_HIGH };

	CHECK(!outcome_is_quiet(&failed));
}

static void test_the_sum_saturates(void)
{
	ledger = (struct ledger){ .released_bytes = UINT64_MAX - 1 };
	append(1, UINT64_MAX);
	append(2, 1);
	CHECK(ledger.released_bytes == UINT64_MAX);
}

static void test_released_is_never_negative(void)
{
	struct outcome outcome = { .usage_before_bytes = 5, .usage_after_bytes = 3 };

	CHECK_EQ(outcome_released_bytes(&outcome), 2);
	outcome.usage_after_bytes = UINT64_MAX;
	CHECK_EQ(outcome_released_bytes(&outcome), 0);
}

static void test_held_is_what_members_gave_and_the_kernel_still_charges(void)
{
	struct outcome outcome = {
		.usage_before_bytes = 500 * MIB,
		.usage_after_bytes = 490 * MIB,
		.held_before_bytes = 20 * MIB,
		.held_after_bytes = 100 * MIB,
		.rss_before_bytes = 400 * MIB,
		.rss_after_bytes = 300 * MIB,
	};

	CHECK_EQ(outcome_held_bytes(&outcome), 80 * MIB);
	/* Others of the group have freed beside it. */
	outcome.held_after_bytes = 200 * MIB;
	CHECK_EQ(outcome_held_bytes(&outcome), 90 * MIB);
	outcome.usage_after_bytes = 350 * MIB;
	CHECK_EQ(outcome_held_bytes(&outcome), 0);
	outcome.usage_after_bytes = 600 * MIB;
	CHECK_EQ(outcome_held_bytes(&outcome), 100 * MIB);
	/* Less than a huge page is noise, and what only RSS says is not held. */
	outcome.held_after_bytes = 22 * MIB - 1;
	CHECK_EQ(outcome_held_bytes(&outcome), 0);
	outcome.held_after_bytes = 10 * MIB;
	CHECK_EQ(outcome_held_bytes(&outcome), 0);
}

static void test_what_khugepaged_has_filled_is_told_from_what_was_taken(void)
{
	struct outcome outcome = {
		.usage_before_bytes = 500 * MIB,
		.usage_after_bytes = 300 * MIB,
		.look = { .state = LOOK_TAKEN, .usage_bytes = 400 * MIB,
			  .rss_grown_bytes = 100 * MIB, .n_collapses = 25 },
	};

	CHECK(outcome_is_refilled(&outcome));
	outcome.look.n_collapses = 24;
	CHECK(!outcome_is_refilled(&outcome));
	/* Made of what was all there, nothing came with it. */
	outcome.look.n_collapses = 100;
	outcome.look.usage_bytes = 301 * MIB;
	CHECK(!outcome_is_refilled(&outcome));
	outcome.look = (struct look){ .state = LOOK_TAKEN, .usage_bytes = 302 * MIB,
				      .rss_grown_bytes = 2 * MIB };
	CHECK(!outcome_is_refilled(&outcome));
}

static void test_every_reason_has_a_name_that_leads_back(void)
{
	for (int i = REASON_NONE; i < REASON_MAX_; i++) {
		enum reason back = REASON_MAX_;

		CHECK(reason_to_string((enum reason)i));
		CHECK_EQ(reason_from_string(reason_to_string((enum reason)i), &back), 0);
		CHECK_EQ(back, i);
		CHECK(strlen(reason_to_text((enum reason)i)) > 0);
	}
}

static void test_reason_numbers_are_stable(void)
{
	/* They are in journals and on the bus: new ones go to the end. */
	CHECK_STR(reason_to_string((enum reason)1), "command");
	CHECK_STR(reason_to_string((enum reason)2), "usage-high");
	CHECK_STR(reason_to_string((enum reason)6), "retained");
	CHECK_STR(reason_to_string((enum reason)7), "below");
	CHECK_STR(reason_to_string((enum reason)14), "busy");
	CHECK_STR(reason_to_string((enum reason)20), "left-over");
	CHECK_STR(reason_to_string((enum reason)21), "others");
	CHECK_STR(reason_to_string((enum reason)22), "untold");
}

static void test_unknown_reasons_are_refused(void)
{
	enum reason reason = REASON_BUSY;

	CHECK_EQ(reason_from_string("", &reason), -EINVAL);
	CHECK_EQ(reason_from_string("usage-hig", &reason), -EINVAL);
	CHECK_EQ(reason_from_string("Usage-high", &reason), -EINVAL);
	CHECK_EQ(reason, REASON_BUSY);
	CHECK_STR(reason_to_string(REASON_MAX_), "unknown");
	CHECK_STR(reason_to_string((enum reason) - 1), "unknown");
	CHECK(strlen(reason_to_text(REASON_MAX_)) > 0);
}

static void test_states_and_kinds_have_names_of_their_own(void)
{
	for (int i = GATE_CALM; i <= GATE_SETTLING; i++)
		for (int j = GATE_CALM; j < i; j++)
			CHECK(strcmp(gate_state_to_string((enum gate_state)i),
				     gate_state_to_string((enum gate_state)j)) != 0);

	CHECK_STR(gate_state_to_string(GATE_CALM), "calm");
	CHECK_STR(group_kind_to_string(GROUP_V1), "cgroup-v1");
	CHECK_STR(group_kind_to_string(GROUP_V2), "cgroup-v2");
	CHECK_STR(group_kind_to_string(GROUP_RSS), "rss");
	CHECK_STR(outcome_kind_to_string(OUTCOME_RELEASED), "released");
	CHECK_STR(outcome_kind_to_string(OUTCOME_NOTHING), "nothing");
	CHECK_STR(outcome_kind_to_string(OUTCOME_FAILED), "failed");
	CHECK_STR(look_state_to_string(LOOK_NONE), "none");
	CHECK_STR(look_state_to_string(LOOK_DUE), "due");
	CHECK_STR(look_state_to_string(LOOK_TAKEN), "taken");
	CHECK_STR(look_state_to_string(LOOK_GONE), "gone");
}

static void test_names_outlive_their_groups_and_are_cut_in_front(void)
{
	char name[300];

	ledger = (struct ledger){ 0 };
	CHECK(!ledger_name(&ledger, 0));
	append(1, 10);
	CHECK_STR(ledger_name(&ledger, 0), "/x.slice/x.service");
	CHECK(!ledger_name(&ledger, 1));

	memset(name, 'a', sizeof(name) - 1);
	memcpy(name + sizeof(name) - 5, "tail", 5);
	ledger_append(&ledger, ledger_at(&ledger, 0), name);
	CHECK_EQ(strlen(ledger_name(&ledger, 0)), LEDGER_NAME_MAX - 1);
	CHECK_STR(ledger_name(&ledger, 0) + LEDGER_NAME_MAX - 5, "tail");
	CHECK_STR(ledger_name(&ledger, 1), "/x.slice/x.service");
}

static void test_an_outcome_keeps_the_strongest_evidence(void)
{
	const struct diagnosis diagnosis = {
		.verdict = VERDICT_GROWING,
		.confidence_percent = 85,
		.n_evidence = 5,
		.evidence = { { FACT_IN_USE_BYTES, 1 }, { FACT_ANON_BYTES, 2 } },
	};
	struct outcome outcome = { .round = 1 };

	outcome_diagnose(&outcome, &diagnosis);
	CHECK_EQ(outcome.verdict, VERDICT_GROWING);
	CHECK_EQ(outcome.confidence_percent, 85);
	CHECK_EQ(outcome.n_evidence, OUTCOME_EVIDENCE_MAX);
	CHECK_EQ(outcome.evidence[1].value, 2);
}

static void test_kills_are_kept_apart(void)
{
	static struct kills kills;
	struct kill kill = { 0 };

	CHECK(!kills_at(&kills, 0));
	for (kill.n_processes = 1; kill.n_processes <= KILLS_SIZE + 3; kill.n_processes++)
		kills_append(&kills, &kill);
	CHECK_EQ(kills_at(&kills, 0)->n_processes, KILLS_SIZE + 3);
	CHECK_EQ(kills_at(&kills, KILLS_SIZE - 1)->n_processes, 4);
	CHECK(!kills_at(&kills, KILLS_SIZE));

	ledger_set_name(kill.name, "x.service");
	CHECK_STR(kill.name, "x.service");
}

int main(void)
{
	RUN(test_kills_are_kept_apart);
	RUN(test_an_empty_ledger_has_no_newest);
	RUN(test_the_next_place_has_its_memory);
	RUN(test_the_newest_is_at_zero);
	RUN(test_a_full_ring_forgets_the_oldest_only);
	RUN(test_a_round_is_found_as_long_as_it_is_kept);
	RUN(test_quiet_outcomes_are_only_counted);
	RUN(test_a_command_is_kept_even_if_nobody_was_asked);
	RUN(test_a_failed_round_is_not_quiet);
	RUN(test_the_sum_saturates);
	RUN(test_released_is_never_negative);
	RUN(test_held_is_what_members_gave_and_the_kernel_still_charges);
	RUN(test_what_khugepaged_has_filled_is_told_from_what_was_taken);
	RUN(test_every_reason_has_a_name_that_leads_back);
	RUN(test_reason_numbers_are_stable);
	RUN(test_unknown_reasons_are_refused);
	RUN(test_states_and_kinds_have_names_of_their_own);
	RUN(test_names_outlive_their_groups_and_are_cut_in_front);
	RUN(test_an_outcome_keeps_the_strongest_evidence);

	return TEST_RESULT();
}
