/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How usage is said to move. */

#include "agent/ctl/growth.h"

#include "tests/unit/test.h"

/* With one member, by @rate a second, and @released bytes @age_usec ago. */
static void check(int64_t rate, uint64_t released, uint64_t age_usec, const char *expected)
{
	char text[GROWTH_MAX];
	json_t *group = json_pack("{sI si s{sI sI}}", "growth_bytes_per_sec", (json_int_t)rate, "members", 1,
				  "last_outcome", "released_bytes", (json_int_t)released, "age_usec",
				  (json_int_t)age_usec);

	CHECK_STR(growth_text(group, text), expected);
	json_decref(group);
}

static void test_growth_has_a_direction_and_a_rate(void)
{
	check(5 * MIB, 0, 0, "growing by 5.0M/s");
	check(-5 * (int64_t)MIB, 0, 0, "shrinking by 5.0M/s");
	check(256, 0, 0, "growing by 256B/s");
	check(255, 0, 0, "steady");
	check(0, 0, 0, "steady");
}

static void test_for_ten_seconds_it_was_a_release(void)
{
	const char *released = "lowered by a release just now";

	check(-500 * (int64_t)MIB, 80 * MIB, 0, released);
	check(0, 80 * MIB, 9999999, released);
	check(0, 80 * MIB, 10000000, "steady");
	/* Some pages come back at once; what undoes it in eight seconds is growth. */
	check(10 * MIB - 1, 80 * MIB, 0, released);
	check(10 * MIB, 80 * MIB, 0, "growing by 10.0M/s");
}

static void test_who_has_ended_does_not_grow(void)
{
	char text[GROWTH_MAX];
	json_t *group = json_pack("{sI si}", "growth_bytes_per_sec", (json_int_t)-MIB, "members", 0);

	CHECK_STR(growth_text(group, text), "its guarded processes have ended");
	json_decref(group);
}

int main(void)
{
	RUN(test_growth_has_a_direction_and_a_rate);
	RUN(test_for_ten_seconds_it_was_a_release);
	RUN(test_who_has_ended_does_not_grow);

	return TEST_RESULT();
}
