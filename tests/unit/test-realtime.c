/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is awake at once, and that nobody pays for it: agent/basic/realtime.c. */

#include "agent/basic/realtime.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/put.h"
#include "tests/unit/test.h"

/* For what takes milliseconds. */
#define LIMIT_SEC 60

static char root[] = "/tmp/test-realtime.XXXXXX";
static struct utsname kernel;

static int forget(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	return where->level == 0 ? 0 : remove(path);
}

static void start_anew(void)
{
	CHECK_EQ(nftw(root, forget, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void put(const char *path, const char *text)
{
	put_below(root, path, text);
}

static void put_configuration(const char *directory, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s%s", directory, kernel.release, name);
	put(path, text);
}

static void nothing_known_is_no(void)
{
	start_anew();
	CHECK(!realtime_is_harmless(root));
	put("/proc/self/cgroup", "0::/memguard.service\n");
	CHECK(!realtime_is_harmless(root));
	put("/proc/self/cgroup", "nonsense\n0:\n\n");
	CHECK(!realtime_is_harmless(root));
}

static void a_controller_that_is_enabled_is_no_matter(void)
{
	start_anew();
	put("/proc/self/cgroup", "0::/memguard.service\n");
	put("/sys/fs/cgroup/memguard.service/cgroup.controllers", "cpuset memory pids\n");
	CHECK(!realtime_is_harmless(root));
	put("/sys/fs/cgroup/memguard.service/cgroup.controllers", "cpuset cpu memory pids\n");
	CHECK(realtime_is_harmless(root));
	put("/proc/self/cgroup", "0::/a b.service\n");
	CHECK(!realtime_is_harmless(root));
	put("/sys/fs/cgroup/a b.service/cgroup.controllers", "cpu\n");
	CHECK(realtime_is_harmless(root));
}

static void version_1_refuses_us_alone(void)
{
	start_anew();
	put("/proc/self/cgroup", "5:cpuset:/\n4:memory:/x\n1:name=systemd:/x\n0::/x\n");
	CHECK(!realtime_is_harmless(root));
	put("/proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/x\n");
	CHECK(realtime_is_harmless(root));
}

static void a_kernel_without_budgets_is_no_matter(void)
{
	start_anew();
	put("/proc/self/cgroup", "0::/memguard.service\n");
	put_configuration("/boot/config-", "", "CONFIG_RT_GROUP_SCHED=y\n");
	CHECK(!realtime_is_harmless(root));
	put_configuration("/lib/modules/", "/config", "# CONFIG_RT_GROUP_SCHED_NOT is not set\n");
	CHECK(!realtime_is_harmless(root));
	put_configuration("/lib/modules/", "/config", "CONFIG_A=y\n# CONFIG_RT_GROUP_SCHED is not set\n");
	CHECK(realtime_is_harmless(root));

	start_anew();
	put_configuration("/boot/config-", "", "# CONFIG_RT_GROUP_SCHED is not set\n");
	CHECK(realtime_is_harmless(root));
}

/* The policy alone. */
static int policy_now(void)
{
	return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

/* Whether what @check says held in a child. */
static bool in_child(void (*check)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		CHECK_EQ(setpriority(PRIO_PROCESS, 0, 3), 0);
		check();
		fflush(stdout);
		_exit(test_bad_);
	}

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void check_not_allowed(void)
{
	const struct rlimit none = { 0 };

	CHECK_EQ(setrlimit(RLIMIT_RTPRIO, &none), 0);
	if (geteuid() == 0)
		CHECK_EQ(setresuid(65534, 65534, 65534), 0);
	CHECK(realtime_take() < 0);
	CHECK_EQ(policy_now(), SCHED_OTHER);
	realtime_renew();
	CHECK_EQ(policy_now(), SCHED_OTHER);
}

static void nobody_has_it_who_may_not(void)
{
	CHECK(in_child(check_not_allowed));
}

static void check_taken(void)
{
	pid_t pid;
	int status;

	CHECK_EQ(realtime_take(), 0);
	CHECK_EQ(policy_now(), SCHED_RR);
	realtime_renew();
	CHECK_EQ(policy_now(), SCHED_RR);

	pid = fork();
	if (pid == 0)
		_exit(policy_now() != SCHED_OTHER);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void what_is_started_is_ordinary(void)
{
	CHECK(in_child(check_taken));
}

/* Without a rest. */
static void work_until(int policy)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += LIMIT_SEC;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (policy_now() != policy && now.tv_sec < end.tv_sec);
	CHECK_EQ(policy_now(), policy);
}

static void check_work(void)
{
	CHECK_EQ(realtime_take(), 0);
	for (int i = 0; i < 3; i++) {
		errno = 17;
		work_until(SCHED_OTHER);
		CHECK_EQ(errno, 17);
		CHECK_EQ(getpriority(PRIO_PROCESS, 0), 3);
		realtime_renew();
		CHECK_EQ(policy_now(), SCHED_RR);
	}
}

static void who_works_without_a_rest_goes_on_as_an_ordinary_process(void)
{
	CHECK(in_child(check_work));
}

/* Instead of being told the kernel would kill him. */
static void check_limited(void)
{
	const struct rlimit limit = { REALTIME_WORK_USEC / 2, REALTIME_WORK_USEC / 2 };

	CHECK_EQ(setrlimit(RLIMIT_RTTIME, &limit), 0);
	CHECK_EQ(realtime_take(), -ERANGE);
	CHECK_EQ(policy_now(), SCHED_OTHER);
}

static void a_low_hard_limit_is_no_death(void)
{
	CHECK(in_child(check_limited));
}

static void try_taking(void)
{
	_exit(realtime_take() == 0 ? 0 : 77);
}

/* A container, a kernel with budgets for groups, a machine that tells nothing. */
static bool can_be_had(void)
{
	return in_child(try_taking);
}

int main(void)
{
	if (uname(&kernel) < 0 || !mkdtemp(root)) {
		perror("test-realtime");
		return 1;
	}

	RUN(nothing_known_is_no);
	RUN(a_controller_that_is_enabled_is_no_matter);
	RUN(version_1_refuses_us_alone);
	RUN(a_kernel_without_budgets_is_no_matter);
	start_anew();
	rmdir(root);

	RUN(nobody_has_it_who_may_not);
	if (!can_be_had()) {
		printf("# realtime scheduling cannot be had here: the rest is not looked at\n");
		return TEST_RESULT();
	}
	RUN(what_is_started_is_ordinary);
	RUN(who_works_without_a_rest_goes_on_as_an_ordinary_process);
	RUN(a_low_hard_limit_is_no_death);
	return TEST_RESULT();
}
