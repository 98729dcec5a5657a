/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* basic/priority: each case in a process of its own, since nobody gets a setting back. */

#include "agent/basic/priority.h"

#include <errno.h>
#include <stdbool.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/log.h"
#include "tests/unit/test.h"

/* What the kernel says of the calling process. */
struct standing {
	int nice;
	int session_nice; /* 1: the kernel knows of none */
	uint64_t slice_nsec; /* 0: nor of this, before Linux 6.12 */
};

static int read_session_nice(void)
{
	FILE *file = fopen("/proc/self/autogroup", "re");
	int nice;

	if (!file || fscanf(file, "/autogroup-%*d nice %d", &nice) != 1)
		nice = 1;
	if (file)
		fclose(file);

	return nice;
}

static struct standing standing_now(void)
{
	/* struct sched_attr: sched_runtime is the fourth of these. */
	uint64_t attributes[6] = { 0 };

	CHECK_EQ(syscall(SYS_sched_getattr, 0, attributes, sizeof(attributes), 0), 0);
	return (struct standing){
		.nice = getpriority(PRIO_PROCESS, 0),
		.session_nice = read_session_nice(),
		.slice_nsec = attributes[3],
	};
}

/* Whether all that @check says of a child with that nice value held. */
static bool in_child(int nice, bool leads_session, void (*check)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (leads_session)
			CHECK(setsid() > 0);
		CHECK_EQ(setpriority(PRIO_PROCESS, 0, nice), 0);
		check();
		fflush(stdout);
		_exit(test_bad_);
	}

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* As an ordinary process, which one in real time is after long work: realtime.c. */
static struct standing made_to_count(void)
{
	struct priority refused;

	(void)signal(SIGXCPU, SIG_IGN);
	priority_make_count(&refused);
	CHECK_EQ(refused.nice, -7);
	CHECK_EQ(refused.session, 0);
	CHECK_EQ(refused.slice, 0);
	CHECK_EQ(raise(SIGXCPU), 0);
	return standing_now();
}

static void check_leader(void)
{
	const struct standing before = standing_now();
	struct standing after;

	after = made_to_count();
	CHECK_EQ(after.nice, -7);
	CHECK(before.session_nice == 1 || after.session_nice == -7);
	CHECK(before.slice_nsec == 0 || after.slice_nsec == 500 * 1000);
}

static void a_favoured_leader_favours_its_session(void)
{
	CHECK(in_child(-7, true, check_leader));
}

static void check_member(void)
{
	const struct standing before = standing_now();
	struct standing after;

	after = made_to_count();
	CHECK_EQ(after.nice, -7);
	CHECK_EQ(after.session_nice, before.session_nice);
	CHECK(before.slice_nsec == 0 || after.slice_nsec == 500 * 1000);
}

static void the_session_of_another_stays_as_it_is(void)
{
	CHECK(in_child(-7, false, check_member));
}

static void check_refused(void)
{
	const struct standing before = standing_now();
	struct priority refused;

	CHECK_EQ(setresuid(65534, 65534, 65534), 0);
	priority_make_count(&refused);
	CHECK_EQ(refused.nice, -7);
	CHECK(before.session_nice == 1 || refused.session < 0);
}

static void what_is_refused_is_said(void)
{
	if (geteuid() == 0)
		CHECK(in_child(-7, true, check_refused));
}

static void check_ordinary(void)
{
	const struct standing before = standing_now();
	struct priority refused;
	struct standing after;

	priority_make_count(&refused);
	CHECK_EQ(refused.nice, 0);
	after = standing_now();
	CHECK_EQ(after.nice, before.nice);
	CHECK_EQ(after.session_nice, before.session_nice);
	CHECK_EQ(after.slice_nsec, before.slice_nsec);
}

static void who_is_not_favoured_changes_nothing(void)
{
	CHECK(in_child(0, true, check_ordinary));
	CHECK(in_child(5, true, check_ordinary));
}

int main(void)
{
	if (setpriority(PRIO_PROCESS, 0, -1) < 0) {
		printf("1..0 # SKIP may not have a negative nice value\n");
		return 77;
	}
	(void)setpriority(PRIO_PROCESS, 0, 0);

	log_open("test-priority");
	RUN(a_favoured_leader_favours_its_session);
	RUN(the_session_of_another_stays_as_it_is);
	RUN(what_is_refused_is_said);
	RUN(who_is_not_favoured_changes_nothing);
	return TEST_RESULT();
}
