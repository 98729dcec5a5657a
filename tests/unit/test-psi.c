/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/psi: the parser, and one test for each trap of the kernel's triggers. */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/sense/psi.h"

#include "tests/unit/test.h"

#define SYSTEM_FILE "/proc/pressure/memory"
#define UNIFIED "/sys/fs/cgroup/unified"

/* --- text --- */

static void test_the_some_line_is_read_whole(void)
{
	struct psi_line some;

	CHECK_EQ(psi_parse("some avg10=100.00 avg60=2.05 avg300=0.40 "
			   "total=18446744073709551615\n"
			   "full avg10=9.00 avg60=9.00 avg300=9.00 total=9\n",
			   &some),
		 0);
	CHECK_EQ(some.avg10_permyriad, 10000);
	CHECK_EQ(some.avg60_permyriad, 205);
	CHECK_EQ(some.avg300_permyriad, 40);
	CHECK(some.total_usec == UINT64_MAX);
}

static void test_malformed_pressure_is_refused_and_changes_nothing(void)
{
	static const char *const texts[] = {
		"",
		"some",
		"some ",
		"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=1x\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=-1\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=18446744073709551616\n",
		"some avg10=100.01 avg60=0.00 avg300=0.00 total=0\n",
		"some avg10=184467440737095516.00 avg60=0.00 avg300=0.00 total=0\n",
		"some avg10=0.0 avg60=0.00 avg300=0.00 total=0\n",
		"some avg10=0.000 avg60=0.00 avg300=0.00 total=0\n",
		"some avg10=0.00avg60=0.00 avg300=0.00 total=0\n",
		"some avg60=0.00 avg10=0.00 avg300=0.00 total=0\n",
	};
	struct psi_line some = { .total_usec = 7 };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK_EQ(psi_parse(texts[i], &some), -EINVAL);
	CHECK_EQ(some.total_usec, 7);
}

/* --- triggers on ordinary files, which hold whatever total a test wants --- */

static void set_total(const char *path, unsigned int total_usec)
{
	FILE *file = fopen(path, "w");

	CHECK(file &&
	      fprintf(file, "some avg10=0.00 avg60=0.00 avg300=0.00 total=%u\n",
		      total_usec) > 0 &&
	      fclose(file) == 0);
}

static bool set_privileged(bool privileged)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const uint32_t mask = CAP_TO_MASK(CAP_SYS_RESOURCE);

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	if (privileged)
		data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective |= mask;
	else
		data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~mask;
	return syscall(SYS_capset, &header, data) == 0;
}

static void test_the_trigger_is_written_with_its_nul_and_a_window_of_2_s(void)
{
	static const char expected[] = "some 150000 2000000";
	char path[] = "/tmp/memguard-psi-XXXXXX", text[256];
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;
	FILE *file;

	CHECK(close(mkstemp(path)) == 0);
	set_total(path, 5);
	CHECK_EQ(psi_trigger_open(AT_FDCWD, path, 150000, &trigger), 0);

	/* It went over the begin of the text, the NUL included. */
	file = fopen(path, "r");
	CHECK(file && fread(text, 1, sizeof(expected), file) == sizeof(expected));
	CHECK(memcmp(text, expected, sizeof(expected)) == 0);
	CHECK_EQ(fclose(file), 0);

	psi_trigger_close(&trigger);
	CHECK(!psi_trigger_is_open(&trigger));
	unlink(path);
}

static void test_a_first_event_without_growth_is_ignored(void)
{
	char path[] = "/tmp/memguard-psi-XXXXXX";
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;

	CHECK(close(mkstemp(path)) == 0);
	CHECK(set_privileged(false));
	set_total(path, 1000);
	CHECK_EQ(psi_trigger_open(AT_FDCWD, path, 200000, &trigger), 0);

	set_total(path, 1000 + 99999);
	CHECK_EQ(psi_trigger_check(&trigger, EPOLLPRI), 0);
	set_total(path, 1000 + 100000);
	CHECK_EQ(psi_trigger_check(&trigger, EPOLLPRI), 1);
	/* Only the first can be false: later ones are believed whatever the total is. */
	set_total(path, 1000);
	CHECK_EQ(psi_trigger_check(&trigger, EPOLLPRI), 1);

	psi_trigger_close(&trigger);
	unlink(path);
	(void)set_privileged(true);
}

/* 0 when all was as it should be; in a child, which may need a user namespace for it. */
static int check_privileged(const char *path)
{
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;
	int r;

	if (!set_privileged(true) &&
	    (unshare(CLONE_NEWUSER) < 0 || !set_privileged(true)))
		return 77;

	r = psi_trigger_open(AT_FDCWD, path, 200000, &trigger) == 0 &&
	    psi_trigger_check(&trigger, EPOLLPRI) == 1;
	psi_trigger_close(&trigger);
	return r ? 0 : 1;
}

static void test_events_of_the_privileged_are_believed_though_the_total_lags(void)
{
	char path[] = "/tmp/memguard-psi-XXXXXX";
	int status = -1;
	pid_t pid;

	CHECK(close(mkstemp(path)) == 0);
	set_total(path, 1000);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(check_privileged(path));

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	unlink(path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("# skip: CAP_SYS_RESOURCE cannot be had here\n");
	else
		CHECK_EQ(status, 0);
}

static void test_errors_end_a_trigger_and_other_wakeups_mean_nothing(void)
{
	char path[] = "/tmp/memguard-psi-XXXXXX";
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;

	CHECK(close(mkstemp(path)) == 0);
	set_total(path, 0);
	CHECK_EQ(psi_trigger_open(AT_FDCWD, path, 200000, &trigger), 0);
	CHECK_EQ(psi_trigger_check(&trigger, EPOLLERR | EPOLLPRI), -ENODEV);
	CHECK_EQ(psi_trigger_check(&trigger, 0), 0);
	psi_trigger_close(&trigger);
	unlink(path);
}

static void test_files_that_are_no_pressure_are_not_written_to(void)
{
	char path[] = "/tmp/memguard-psi-XXXXXX", text[32] = "";
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;
	int fd = mkstemp(path);

	CHECK_EQ(write(fd, "precious\n", 9), 9);
	CHECK_EQ(psi_trigger_open(AT_FDCWD, path, 200000, &trigger), -EINVAL);
	CHECK_EQ(pread(fd, text, sizeof(text), 0), 9);
	CHECK(!psi_trigger_is_open(&trigger));
	CHECK_EQ(psi_trigger_open(AT_FDCWD, "/no/such/file", 200000, &trigger), -ENOENT);
	close(fd);
	unlink(path);
}

/* PSI that is built in but disabled opens and does not read; so does this file. */
static void test_what_opens_but_does_not_read_is_not_armed(void)
{
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;

	CHECK_EQ(psi_trigger_open(AT_FDCWD, "/proc/self/mem", 200000, &trigger), -EIO);
	CHECK(!psi_trigger_is_open(&trigger));
}

static void test_stalls_that_cannot_be_are_refused(void)
{
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;

	CHECK_EQ(psi_trigger_open(AT_FDCWD, SYSTEM_FILE, 0, &trigger), -EINVAL);
	CHECK_EQ(psi_trigger_open(AT_FDCWD, SYSTEM_FILE, 2000001, &trigger), -EINVAL);
	CHECK(!psi_trigger_is_open(&trigger));
}

/* --- triggers of the kernel --- */

/* Whether PSI can be used, judged the way it has to be: by reading. */
static bool has_psi(void)
{
	char text[256];
	int fd = open(SYSTEM_FILE, O_RDWR | O_CLOEXEC), r = -1;

	if (fd >= 0) {
		r = (int)read(fd, text, sizeof(text));
		close(fd);
	}
	if (r <= 0)
		printf("# skip: cannot use " SYSTEM_FILE ": %s\n", strerror(errno));
	return r > 0;
}

static void test_the_kernel_takes_the_trigger(void)
{
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;
	struct pollfd poll_fd = { .events = POLLPRI };

	if (!has_psi())
		return;

	CHECK_EQ(psi_trigger_open(AT_FDCWD, SYSTEM_FILE, 200000, &trigger), 0);
	poll_fd.fd = trigger.fd;
	CHECK(poll(&poll_fd, 1, 0) >= 0);
	CHECK_EQ(poll_fd.revents & POLLERR, 0); /* that is what an unarmed file reports */
	psi_trigger_close(&trigger);
}

static void test_the_kernel_takes_the_trigger_of_an_unprivileged_process(void)
{
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;

	if (!has_psi())
		return;

	CHECK(set_privileged(false));
	CHECK_EQ(psi_trigger_open(AT_FDCWD, SYSTEM_FILE, 200000, &trigger), 0);
	/* What the false first event looks like: nothing has grown since. */
	CHECK_EQ(psi_trigger_check(&trigger, EPOLLPRI), 0);
	psi_trigger_close(&trigger);
	(void)set_privileged(true);
}

static void test_a_removed_group_ends_its_trigger(void)
{
	struct psi_trigger trigger = PSI_TRIGGER_CLOSED;
	struct pollfd poll_fd = { .events = POLLPRI };
	char path[256], file[300];

	(void)snprintf(path, sizeof(path), UNIFIED "/memguard-test-%d", getpid());
	(void)snprintf(file, sizeof(file), "%s/memory.pressure", path);
	if (mkdir(path, 0755) < 0) {
		printf("# skip: cannot make a group in " UNIFIED ": %s\n",
		       strerror(errno));
		return;
	}
	if (access(file, R_OK | W_OK) < 0) {
		printf("# skip: groups have no memory.pressure here\n");
		CHECK_EQ(rmdir(path), 0);
		return;
	}

	CHECK_EQ(psi_trigger_open(AT_FDCWD, file, 200000, &trigger), 0);
	poll_fd.fd = trigger.fd;
	CHECK_EQ(poll(&poll_fd, 1, 0), 0);
	CHECK_EQ(rmdir(path), 0);

	CHECK_EQ(poll(&poll_fd, 1, 60000), 1);
	CHECK_EQ(psi_trigger_check(&trigger, (uint32_t)poll_fd.revents), -ENODEV);
	psi_trigger_close(&trigger);
	CHECK_EQ(psi_trigger_open(AT_FDCWD, file, 200000, &trigger), -ENOENT);
}

int main(void)
{
	RUN(test_the_some_line_is_read_whole);
	RUN(test_malformed_pressure_is_refused_and_changes_nothing);
	RUN(test_the_trigger_is_written_with_its_nul_and_a_window_of_2_s);
	RUN(test_a_first_event_without_growth_is_ignored);
	RUN(test_events_of_the_privileged_are_believed_though_the_total_lags);
	RUN(test_errors_end_a_trigger_and_other_wakeups_mean_nothing);
	RUN(test_files_that_are_no_pressure_are_not_written_to);
	RUN(test_what_opens_but_does_not_read_is_not_armed);
	RUN(test_stalls_that_cannot_be_are_refused);
	RUN(test_the_kernel_takes_the_trigger);
	RUN(test_the_kernel_takes_the_trigger_of_an_unprivileged_process);
	RUN(test_a_removed_group_ends_its_trigger);

	return TEST_RESULT();
}
