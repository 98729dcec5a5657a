/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/cgroup on real groups, where they can be made: processes, limits, events, removal. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "agent/basic/fd.h"
#include "tests/unit/cgroup-fixture.h"

#define REAL_V1 "/sys/fs/cgroup/memory"
#define REAL_V2 "/sys/fs/cgroup/unified"

/* A child in group @path of the real v2 hierarchy, seen through a tree @base of ours. */
static void check_charged(const char *base, const char *path, pid_t pid)
{
	char group[512], *found = NULL;
	struct cgroup_root root;
	struct stat st;
	uint64_t id = 0;

	(void)snprintf(group, sizeof(group), "%s%s", base, path);
	write_file(base, "memory.current", "0\n");
	CHECK_EQ(cgroup_root_open(base, &root), 0);

	/* Not there at all: removed a moment ago. */
	CHECK_EQ(cgroup_of_pid(&root, pid, &found, &id), -ENODEV);

	/* There, without the controller: its parent is charged. */
	CHECK_EQ(mkdir(group, 0755), 0);
	CHECK_EQ(cgroup_of_pid(&root, pid, &found, &id), 0);
	CHECK_STR(found, "/");
	CHECK(stat(base, &st) == 0 && st.st_ino == id);
	free(found);

	write_file(group, "memory.current", "0\n");
	CHECK_EQ(cgroup_of_pid(&root, pid, &found, &id), 0);
	CHECK_STR(found, path);
	CHECK(stat(group, &st) == 0 && st.st_ino == id);
	free(found);
	cgroup_root_close(&root);
}

static void test_v2_groups_without_the_controller_are_charged_to_an_ancestor(void)
{
	char base[] = "/tmp/memguard-cgroup-XXXXXX", path[64], real[256], text[32];
	int hold[2];
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/memguard-test-%d", getpid());
	(void)snprintf(real, sizeof(real), REAL_V2 "%s", path);
	if (mkdir(real, 0755) < 0) {
		printf("# skip: cannot make a group in " REAL_V2 ": %s\n",
		       strerror(errno));
		return;
	}

	CHECK(mkdtemp(base) && pipe(hold) == 0);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		_exit((int)read(hold[0], text, 1));
	}

	(void)snprintf(text, sizeof(text), "%d", pid);
	write_file(real, "cgroup.procs", text);
	check_charged(base, path, pid);

	close(hold[0]);
	close(hold[1]);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(rmdir(real), 0);
	remove_tree(base);
}

struct real {
	char path[256]; /* below the mount */
	char full[512];
	struct cgroup_root root;
	struct cgroup cgroup;
};
static bool real_begin(struct real *real)
{
	(void)snprintf(real->path, sizeof(real->path), "/memguard-test-%d", getpid());
	(void)snprintf(real->full, sizeof(real->full), REAL_V1 "%s", real->path);
	if (access(REAL_V1 "/memory.usage_in_bytes", R_OK) < 0 ||
	    mkdir(real->full, 0755) < 0) {
		printf("# skip: cannot make a group in a v1 memory hierarchy: %s\n",
		       strerror(errno));
		return false;
	}

	CHECK_EQ(cgroup_root_open(NULL, &real->root), 0);
	CHECK_EQ(real->root.kind, GROUP_V1);
	CHECK_EQ(cgroup_open(&real->root, real->path, &real->cgroup), 0);
	return true;
}

static void real_end(struct real *real)
{
	cgroup_close(&real->cgroup);
	cgroup_root_close(&real->root);
	(void)rmdir(real->full);
}

/* A child in the group; it touches @bytes when told through the pipe, then waits. */
struct child {
	pid_t pid;
	int to, from;
};
static void child_run(int from, int to, size_t bytes)
{
	char *memory, byte;

	if (read(from, &byte, 1) != 1)
		_exit(1);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		_exit(1);
	memset(memory, 1, bytes);
	if (write(to, "x", 1) != 1)
		_exit(1);
	(void)!read(from, &byte, 1);
	_exit(0);
}

static struct child child_start(const struct real *real, size_t bytes)
{
	struct child child = { .pid = -1 };
	int there[2], back[2];
	char text[32];

	CHECK(pipe(there) == 0 && pipe(back) == 0);
	(void)fflush(stdout);
	child.pid = fork();
	if (child.pid == 0) {
		close(there[1]);
		close(back[0]);
		child_run(there[0], back[1], bytes);
	}
	close(there[0]);
	close(back[1]);
	child.to = there[1];
	child.from = back[0];

	(void)snprintf(text, sizeof(text), "%d", child.pid);
	write_file(real->full, "cgroup.procs", text);
	return child;
}

static void child_allocate(const struct child *child)
{
	char byte;

	CHECK_EQ(write(child->to, "x", 1), 1);
	CHECK_EQ(read(child->from, &byte, 1), 1);
}

static int child_stop(const struct child *child)
{
	int status = -1;

	close(child->to);
	close(child->from);
	CHECK_EQ(waitpid(child->pid, &status, 0), child->pid);
	return status;
}

static bool is_readable(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & events);
}

static void test_a_process_is_found_in_its_real_group(void)
{
	struct child child;
	struct real real;
	char *path = NULL;
	struct stat st;
	uint64_t id = 0;

	if (!real_begin(&real))
		return;

	child = child_start(&real, 4096);
	CHECK_EQ(cgroup_of_pid(&real.root, child.pid, &path, &id), 0);
	CHECK_STR(path, real.path);
	CHECK(stat(real.full, &st) == 0 && st.st_ino == id);
	free(path);

	(void)child_stop(&child);
	real_end(&real);
}

static void test_a_directory_inside_a_real_mount_can_be_the_root(void)
{
	struct cgroup_root root;
	struct child child;
	struct real real;
	char *path = NULL;
	uint64_t id;

	if (!real_begin(&real))
		return;

	child = child_start(&real, 4096);
	CHECK_EQ(cgroup_root_open(real.full, &root), 0);
	CHECK_EQ(cgroup_of_pid(&root, child.pid, &path, &id), 0);
	CHECK_STR(path, "/");
	free(path);
	path = NULL;
	CHECK_EQ(cgroup_of_pid(&root, getpid(), &path, &id), -ENODEV); /* outside of it */
	CHECK(!path);
	cgroup_root_close(&root);

	(void)child_stop(&child);
	real_end(&real);
}

static void test_a_threshold_fires_when_usage_crosses_it(void)
{
	struct child child;
	struct real real;
	uint64_t usage = 0;
	int fd;

	if (!real_begin(&real))
		return;

	child = child_start(&real, 32 * MIB);
	fd = cgroup_arm_threshold(&real.cgroup, 16 * MIB);
	CHECK(fd >= 0);
	CHECK(!is_readable(fd, POLLIN));
	child_allocate(&child);
	CHECK(is_readable(fd, POLLIN));
	CHECK_EQ(cgroup_read_usage(&real.cgroup, &usage), 0);
	CHECK(usage >= 32 * MIB);
	close(fd);

	CHECK_EQ(child_stop(&child), 0);
	real_end(&real);
}

static void test_a_real_limit_and_its_kill_are_seen(void)
{
	struct reading before, reading;
	struct child child;
	struct real real;
	char byte;
	int status;

	if (!real_begin(&real))
		return;

	CHECK_EQ(cgroup_read(&real.cgroup, 1, &before), 0);
	CHECK_EQ(before.limit_bytes, ram_bytes());
	write_file(real.full, "memory.limit_in_bytes", "16777216");
	write_file(real.full, "memory.swappiness", "0");

	child = child_start(&real, 64 * MIB);
	CHECK_EQ(write(child.to, "x", 1), 1);
	CHECK_EQ(read(child.from, &byte, 1), 0); /* it is killed before it can answer */
	status = child_stop(&child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

	CHECK_EQ(cgroup_read(&real.cgroup, 2, &reading), 0);
	CHECK_EQ(reading.limit_bytes, 16 * MIB);
	CHECK(reading.n_max > before.n_max);
	CHECK_EQ(reading.n_oom_kill, before.n_oom_kill + 1);
	real_end(&real);
}

static void test_the_pressure_level_is_told_when_a_limit_is_reclaimed_for(void)
{
	struct child child;
	struct real real;
	char byte;
	int fd;

	if (!real_begin(&real))
		return;

	write_file(real.full, "memory.limit_in_bytes", "16777216");
	write_file(real.full, "memory.swappiness", "0");
	fd = cgroup_arm_level(&real.cgroup);
	CHECK(fd >= 0);
	CHECK(!is_readable(fd, POLLIN));

	child = child_start(&real, 64 * MIB);
	CHECK_EQ(write(child.to, "x", 1), 1);
	CHECK_EQ(read(child.from, &byte, 1), 0);
	(void)child_stop(&child);
	/* By a kernel worker. */
	CHECK_EQ(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 60000), 1);
	close(fd);
	real_end(&real);
}

/* Usage in whole pages is at such a threshold when it is at the next page, not at that below. */
static void test_a_threshold_inside_a_page_is_armed_at_its_end(void)
{
	const unsigned long long page_bytes = (unsigned long long)sysconf(_SC_PAGESIZE);
	char base[] = "/tmp/memguard-cgroup-XXXXXX", name[64], text[64] = "";
	unsigned long long bytes = 0;
	struct cgroup_root root;
	struct cgroup cgroup;
	int fd;

	CHECK(mkdtemp(base) != NULL);
	write_file(base, "memory.usage_in_bytes", "0\n");
	write_file(base, "cgroup.event_control", "");
	CHECK_EQ(cgroup_root_open(base, &root), 0);
	CHECK_EQ(cgroup_open(&root, "/", &cgroup), 0);

	fd = cgroup_arm_threshold(&cgroup, 7 * page_bytes - 100);
	CHECK(fd >= 0);
	close(fd);
	(void)snprintf(name, sizeof(name), "%s/cgroup.event_control", base);
	CHECK(fd_read_file(AT_FDCWD, name, text, sizeof(text)) > 0);
	CHECK_EQ(sscanf(text, "%*d %*d %llu", &bytes), 1);
	CHECK_EQ(bytes, 7 * page_bytes);

	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(base);
}

/* A kernel with PREEMPT_RT refuses the write; /dev/full does so everywhere. */
static void test_refused_v1_events_leave_nothing_open(void)
{
	char base[] = "/tmp/memguard-cgroup-XXXXXX", name[64];
	struct cgroup_root root;
	struct cgroup cgroup;
	int before;

	CHECK(mkdtemp(base) != NULL);
	write_file(base, "memory.usage_in_bytes", "0\n");
	CHECK_EQ(cgroup_root_open(base, &root), 0);
	CHECK_EQ(cgroup_open(&root, "/", &cgroup), 0);
	before = n_open_fds();

	/* Neither file is there, as in a container that shows a part only. */
	CHECK_EQ(cgroup_arm_threshold(&cgroup, MIB), -ENODEV);
	CHECK_EQ(cgroup_arm_level(&cgroup), -ENOENT);

	(void)snprintf(name, sizeof(name), "%s/cgroup.event_control", base);
	CHECK_EQ(symlink("/dev/full", name), 0);
	write_file(base, "memory.pressure_level", "");
	CHECK_EQ(cgroup_arm_threshold(&cgroup, MIB), -ENOSPC);
	CHECK_EQ(cgroup_arm_level(&cgroup), -ENOSPC);
	CHECK_EQ(n_open_fds(), before);

	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(base);
}

static void test_a_removed_group_reads_as_gone_and_wakes_its_threshold(void)
{
	struct reading reading;
	struct real real;
	uint64_t usage;
	int fd;

	if (!real_begin(&real))
		return;

	fd = cgroup_arm_threshold(&real.cgroup, GIB);
	CHECK(fd >= 0);
	CHECK_EQ(cgroup_read_usage(&real.cgroup, &usage), 0);
	CHECK_EQ(rmdir(real.full), 0);

	CHECK_EQ(cgroup_read_usage(&real.cgroup, &usage), -ENODEV);
	CHECK_EQ(cgroup_read(&real.cgroup, 1, &reading), -ENODEV);
	CHECK_EQ(cgroup_arm_threshold(&real.cgroup, GIB), -ENODEV);
	/* By a kernel worker, a moment after the removal. */
	CHECK_EQ(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 60000), 1);
	close(fd);
	real_end(&real);
}

int main(void)
{
	RUN(test_v2_groups_without_the_controller_are_charged_to_an_ancestor);
	RUN(test_a_process_is_found_in_its_real_group);
	RUN(test_a_directory_inside_a_real_mount_can_be_the_root);
	RUN(test_a_threshold_fires_when_usage_crosses_it);
	RUN(test_a_real_limit_and_its_kill_are_seen);
	RUN(test_the_pressure_level_is_told_when_a_limit_is_reclaimed_for);
	RUN(test_a_threshold_inside_a_page_is_armed_at_its_end);
	RUN(test_refused_v1_events_leave_nothing_open);
	RUN(test_a_removed_group_reads_as_gone_and_wakes_its_threshold);

	return TEST_RESULT();
}
