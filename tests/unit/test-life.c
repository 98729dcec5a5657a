/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process has written of itself is not its children's, whichever way that is told. */

#include "libhook/life.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

/* In a process of its own, for the way is chosen once: 0 when @f was content. */
static int alone(bool (*f)(uint32_t), uint32_t page_bytes)
{
	int status = -1;
	const pid_t child = fork();

	if (child == 0)
		_exit(f(page_bytes) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static bool is_anew(uint32_t page_bytes)
{
	(void)page_bytes;
	if (life_id() == 0 || life.has_agent == life_id() || life.starts[0].taken == life_id())
		return false;

	life.has_agent = life_id();
	return life.has_agent == life_id();
}

static bool keeps_its_own(uint32_t page_bytes)
{
	int id;

	if (life_id() != -1)
		return false;

	life_prepare(page_bytes);
	id = life_id();
	life.has_agent = life.starts[0].taken = id;
	life_prepare(page_bytes);
	if (id == 0 || id == -1 || life_id() != id || alone(is_anew, page_bytes) != 0)
		return false;

	return life.has_agent == id && life.starts[0].taken == id && life_id() == id;
}

static void test_a_child_begins_anew(void)
{
	CHECK_EQ(alone(keeps_its_own, (uint32_t)sysconf(_SC_PAGESIZE)), 0);
}

static void test_where_nothing_can_be_emptied_as_well(void)
{
	CHECK_EQ(alone(keeps_its_own, 1), 0);
}

/* Which it is where that can be had: no number is asked for. */
static bool asks_for_no_number(uint32_t page_bytes)
{
	life_prepare(page_bytes);
	return page_bytes != sizeof(life) || life_id() != getpid();
}

static void test_the_kernel_empties_it(void)
{
	CHECK_EQ(alone(asks_for_no_number, (uint32_t)sysconf(_SC_PAGESIZE)), 0);
}

int main(void)
{
	RUN(test_a_child_begins_anew);
	RUN(test_where_nothing_can_be_emptied_as_well);
	RUN(test_the_kernel_empties_it);

	return TEST_RESULT();
}
