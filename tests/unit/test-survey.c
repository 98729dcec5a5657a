/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/survey, sense/tree and sense/proc-text: on this process, its children and written texts. */

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/sense/proc-text.h"
#include "agent/sense/survey.h"
#include "agent/sense/tree.h"

#include "tests/unit/test.h"

static struct survey *survey;

/* A child that is @ready when this returns and lives until child_end(). */
struct child {
	pid_t pid;
	int hold;
	pid_t grandchild;
};

static pid_t fork_quietly(void)
{
	(void)fflush(stdout);
	return fork();
}

static void touch(size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	memset(memory, 1, bytes);
}

/* Touches @bytes here or, with @deep, in a child of its own; answers with its pid. */
static void child_run(int hold, int answer, size_t bytes, bool deep)
{
	pid_t grandchild = 0;
	char byte;

	if (deep && (grandchild = fork()) != 0) {
		close(answer);
		(void)!read(hold, &byte, 1);
		waitpid(grandchild, NULL, 0);
		_exit(0);
	}

	touch(bytes);
	grandchild = getpid();
	if (write(answer, &grandchild, sizeof(grandchild)) != sizeof(grandchild))
		_exit(1);
	(void)!read(hold, &byte, 1);
	_exit(0);
}

static struct child child_begin(size_t bytes, bool deep)
{
	struct child child = { .pid = -1 };
	int hold[2], answer[2];

	CHECK(pipe(hold) == 0 && pipe(answer) == 0);
	child.pid = fork_quietly();
	if (child.pid == 0) {
		close(hold[1]);
		close(answer[0]);
		child_run(hold[0], answer[1], bytes, deep);
	}
	close(hold[0]);
	close(answer[1]);
	child.hold = hold[1];
	CHECK_EQ(read(answer[0], &child.grandchild, sizeof(child.grandchild)),
		 sizeof(child.grandchild));
	close(answer[0]);
	return child;
}

static void child_end(const struct child *child)
{
	/*
	 * A byte for each that waits. Closing is no message: later children hold it too.
	 */
	CHECK_EQ(write(child->hold, "xx", 2), 2);
	close(child->hold);
	CHECK_EQ(waitpid(child->pid, NULL, 0), child->pid);
}

/* --- processes --- */

static uint64_t start_time_from_stat(void)
{
	char text[1024] = "", *field;
	FILE *file = fopen("/proc/self/stat", "r");
	unsigned long long start_time = 0;

	CHECK(file && fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	field = strrchr(text, ')') + 1;
	for (int i = 2; i < 21; i++)
		field = strchr(field + 1, ' ');
	CHECK_EQ(sscanf(field, "%llu", &start_time), 1);
	return start_time;
}

static void test_a_process_is_described_as_proc_does(void)
{
	struct process process;

	CHECK_EQ(survey_process(survey, getpid(), &process), 0);
	CHECK_EQ(process.pid, getpid());
	CHECK_EQ(process.start_time, start_time_from_stat());
	CHECK_EQ(process.uid, geteuid());
	CHECK_EQ(process.n_threads, 1);
	CHECK_EQ(process.state, 'R');
	CHECK(strstr(process.command, "survey")); /* libtool puts "lt-" in front */
}

static void test_rss_is_in_bytes(void)
{
	struct child small = child_begin(4096, false),
		     large = child_begin(64 * MIB, false);
	struct process a, b;

	CHECK_EQ(survey_process(survey, small.pid, &a), 0);
	CHECK_EQ(survey_process(survey, large.pid, &b), 0);
	CHECK(b.rss_bytes >= a.rss_bytes + 63 * MIB);
	CHECK(b.rss_bytes <= a.rss_bytes + 80 * MIB);
	child_end(&small);
	child_end(&large);
}

static void test_cpu_time_is_in_microseconds(void)
{
	struct process before, after;
	const uint64_t tick_usec = USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	clock_t begin;

	CHECK_EQ(survey_process(survey, getpid(), &before), 0);
	/* 100 ms of CPU, however long they take; what the survey took is not among them. */
	begin = clock();
	while (clock() - begin < CLOCKS_PER_SEC / 10)
		;
	CHECK_EQ(survey_process(survey, getpid(), &after), 0);
	CHECK(after.cpu_usec >= before.cpu_usec + 100000 - 2 * tick_usec);
	CHECK(after.cpu_usec <= before.cpu_usec + 10 * USEC_PER_SEC);
}

static void test_gone_processes_are_gone(void)
{
	struct child child = child_begin(4096, false);
	struct process process = { .pid = 7 };

	child_end(&child);
	CHECK_EQ(survey_process(survey, child.pid, &process), -ESRCH);
	CHECK_EQ(survey_process(survey, 0, &process), -ESRCH);
	CHECK_EQ(survey_process(survey, -1, &process), -ESRCH);
	CHECK_EQ(process.pid, 7);
}

static void test_a_zombie_does_not_inherit_its_neighbours_figures(void)
{
	struct process processes[2] = { { .pid = getpid() } };
	siginfo_t info;
	pid_t pid = fork_quietly();

	if (pid == 0)
		_exit(0);
	/* Wait until it is a zombie, and leave it one. */
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);

	processes[1].pid = pid;
	CHECK_EQ(survey_processes(survey, processes, 2), 2);
	CHECK(processes[0].rss_bytes > 0);
	CHECK_EQ(processes[1].state, 'Z');
	CHECK_EQ(processes[1].rss_bytes, 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void test_another_start_time_is_another_process(void)
{
	struct process processes[3];

	CHECK_EQ(survey_process(survey, getpid(), &processes[0]), 0);
	processes[1] = processes[2] = processes[0];
	processes[1].start_time++;
	processes[2].start_time = 0;

	CHECK_EQ(survey_processes(survey, processes, 3), 2);
	CHECK_EQ(processes[0].pid, getpid());
	CHECK_EQ(processes[1].pid, 0);
	CHECK_EQ(processes[2].pid, getpid());
	CHECK_EQ(processes[2].start_time, processes[0].start_time);
}

static void test_gaps_and_long_lists_are_no_end(void)
{
	static struct process processes[1000];

	for (size_t i = 0; i < ARRAY_SIZE(processes); i++)
		processes[i].pid = i % 3 == 0 ? getpid() : i % 3 == 1 ? 0 : INT32_MAX;

	CHECK_EQ(survey_processes(survey, processes, ARRAY_SIZE(processes)), 334);
	CHECK_EQ(processes[999].pid, getpid());
	CHECK_EQ(processes[998].pid, 0);
	CHECK_EQ(survey_processes(survey, processes, 0), 0);
}

static int thread_main(void *unused)
{
	(void)unused;
	pause();
	return 0;
}

static void test_a_thread_is_no_process(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	struct process process;
	int tid;

	tid = clone(thread_main, stack + sizeof(stack),
		    CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FS | CLONE_FILES,
		    NULL);
	CHECK(tid > 0);
	CHECK_EQ(survey_process(survey, tid, &process), -ESRCH);
	CHECK_EQ(survey_process(survey, getpid(), &process), 0);
	CHECK_EQ(process.n_threads, 2);
	/* It stays until the process ends: one thread cannot be ended from outside. */
}

static void test_a_tree_counts_its_grandchildren(void)
{
	struct child child = child_begin(64 * MIB, true);
	uint64_t alone = 0, below = 0, all = 0;
	struct tree *tree = NULL;

	CHECK(child.grandchild != child.pid);
	CHECK_EQ(tree_new(&tree), 0);
	CHECK_EQ(tree_rss(tree, child.grandchild, &alone), 0);
	CHECK_EQ(tree_rss(tree, child.pid, &below), 0);
	CHECK_EQ(tree_rss(tree, getpid(), &all), 0);
	CHECK(alone >= 64 * MIB && alone < 128 * MIB);
	CHECK(below > alone);
	CHECK(all > below);

	child_end(&child);
	CHECK_EQ(tree_rss(tree, child.pid, &below), -ESRCH);
	CHECK(!tree_free(tree));
}

/* --- seccomp --- */

/* What a member's agent shows beside its process. */
static bool is_filtered(pid_t pid, pid_t tid)
{
	struct process process = { 0 };
	bool filtered = false;

	CHECK_EQ(survey_member(survey, pid, tid, &process, &filtered), 0);
	CHECK_EQ(process.pid, pid);
	CHECK(process.rss_bytes > 0 && process.anon_bytes > 0);
	return filtered;
}

static void test_seccomp_is_seen_per_thread(void)
{
	int hold[2], answer[2], status;
	char byte;
	pid_t pid;

	CHECK(pipe(hold) == 0 && pipe(answer) == 0);
	pid = fork_quietly();
	if (pid == 0) {
		close(hold[1]);
		/* Strict: read, write and exit only, and _exit() is exit_group. */
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
			_exit(1);
		(void)!write(answer[1], "x", 1);
		(void)!read(hold[0], &byte, 1);
		syscall(SYS_exit, 0);
	}
	close(answer[1]);
	if (read(answer[0], &byte, 1) == 1) {
		CHECK_EQ(survey_seccomp(pid, pid), 1);
		/* Not a thread of ours. */
		CHECK_EQ(survey_seccomp(getpid(), pid), -ESRCH);
		CHECK(is_filtered(pid, pid));
		CHECK(!is_filtered(pid, getpid()));
	} else {
		printf("# skip: no seccomp here\n");
	}
	close(hold[0]);
	close(hold[1]);
	close(answer[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(survey_seccomp(pid, pid), -ESRCH);
}

static int scan_seccomp(const char *text)
{
	const int fd = memfd_create("text", MFD_CLOEXEC);
	int mode = -1;

	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(proc_text_scan(fd, proc_text_seccomp, &mode), 1);
	close(fd);
	return mode;
}

static void check_depth(const char *line, int r, int depth)
{
	int ret = -1;

	CHECK_EQ(proc_text_pid_depth(line, &ret), r);
	CHECK_EQ(ret, depth);
}

static void test_numbers_in_namespaces_are_counted(void)
{
	check_depth("NSpid:\t77", 1, 1);
	check_depth("NSpid:\t77\t2", 1, 2);
	check_depth("NSpid:\t77\t12\t1", 1, 3);
	check_depth("NSpgid:\t77\t2", 0, -1);
	check_depth("NSpid:", -EINVAL, -1);
	check_depth("NSpid:\t77\tx", -EINVAL, -1);
	check_depth("NSpid:\t77 99999999999999999999999", -EINVAL, -1);

	CHECK_EQ(survey_is_contained(getpid()), 0);
	CHECK_EQ(survey_is_contained(0), -ESRCH);
}

static void test_overlong_lines_hide_no_other_line(void)
{
	static const char last[] = "\nSeccomp:\t2\n";
	static char text[100000 + sizeof(last)];

	/* Around the size of the buffer, and far beyond it. */
	for (size_t n = 8180; n < 8200; n++) {
		memset(text, '/', n);
		(void)strcpy(text + n, last);
		CHECK_EQ(scan_seccomp(text), 2);
	}
	memset(text, '/', 100000);
	(void)strcpy(text + 100000, last);
	CHECK_EQ(scan_seccomp(text), 2);
}

static void test_malformed_seccomp_lines_are_refused(void)
{
	int mode = 7;

	CHECK_EQ(proc_text_seccomp("Seccomp:\t2", &mode), 1);
	CHECK_EQ(mode, 2);
	CHECK_EQ(proc_text_seccomp("Seccomp_filters:\t1", &mode), 0);
	CHECK_EQ(proc_text_seccomp("Seccomp:\t", &mode), -EINVAL);
	CHECK_EQ(proc_text_seccomp("Seccomp:\tx", &mode), -EINVAL);
	CHECK_EQ(proc_text_seccomp("Seccomp:\t11", &mode), -EINVAL);
	CHECK_EQ(mode, 2);
}

#define STAT_FRONT "(%s) S 1 42 42 0 -1 4194560 1 2 3 4 "
#define STAT_REST "500 700 9 9 20 0 3 0 123456 8192 33 18446744073709551615 1 1\n"

static void test_a_name_may_hold_anything(void)
{
	static const struct {
		const char *name, *command;
	} rows[] = {
		{ "cat", "cat" },
		{ "", "" },
		{ "a b", "a b" },
		{ ") R 1 2 3 (", ") R 1 2 3 (" },
		{ "fifteen-letters", "fifteen-letters" },
		{ "longer-than-any-comm-there-is", "longer-than-any" },
	};
	struct proc_stat stat;
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), "42 " STAT_FRONT STAT_REST, rows[i].name);
		CHECK_EQ(proc_text_stat(text, &stat), 0);
		CHECK_STR(stat.command, rows[i].command);
		CHECK_EQ(stat.state, 'S');
		CHECK_EQ(stat.n_faults, 1);
		CHECK_EQ(stat.cpu_ticks, 1200);
		CHECK_EQ(stat.n_threads, 3);
		CHECK_EQ(stat.start_ticks, 123456);
	}
}

static void test_who_is_on_the_way_out_is_known(void)
{
	static const char *const flags[] = { "4194304", "4194308" };
	struct proc_stat stat;
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		snprintf(text, sizeof(text),
			 "42 (cat) R 1 42 42 0 -1 %s 1 2 3 4 500 700 9 9 20 0 3 0 123456 8192 33",
			 flags[i]);
		CHECK_EQ(proc_text_stat(text, &stat), 0);
		CHECK_EQ(stat.exiting, i == 1);
	}
}

static void test_malformed_processes_are_refused(void)
{
	static const char *const texts[] = {
		"", "42", "42 (cat", "42 cat) S 1", "42 )cat( S 1", "42 (cat)", "42 (cat) ",
		"42 (cat) S", "42 (cat) S ", "42 (cat) S 1 42 42 0 -1 4194560 1 2 3 4 500",
		"42 (cat) S 1 42 42 0 -1 4194560 1 2 3 4 x 700 9 9 20 0 3 0 123456 8192 33",
		"42 (cat) S 1 42 42 0 -1 4194560 1 2 3 4 500 700 9 9 20 0 -3 0 123456 8192 33",
		"42 (cat) S 1 42 42 0 -1 4194560 1 2 3 4 500 700 9 9 20 0 3 0",
		"42 (cat) S 1 42 42 0 -1 4194560 1 2 3 4 99999999999999999999 7 9 9 20 0 3 0 1 8 3",
	};
	static const char *const lines[] = {
		"Tgid:", "Tgid:\t", "Tgid:\tx", "Uid:\t1", "Uid:\t1\tx", "VmRSS:\t-1 kB", "RssAnon:\tx kB",
		"VmSwap:\t99999999999999999999 kB",
	};
	struct proc_status status = { .tgid = 7 };
	struct proc_stat stat = { .state = '?' };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK_EQ(proc_text_stat(texts[i], &stat), -EINVAL);
	CHECK_EQ(stat.state, '?');
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		CHECK_EQ(proc_text_status(lines[i], &status), -EINVAL);
	CHECK_EQ(status.tgid, 7);

	CHECK_EQ(proc_text_status("Uid:\t1\t2\t3\t4", &status), 0);
	CHECK_EQ(status.euid, 2);
	CHECK_EQ(proc_text_status("VmRSS:\t    1234 kB", &status), 0);
	CHECK_EQ(proc_text_status("RssShmem:\t     300 kB", &status), 0);
	CHECK_EQ(status.shmem_kib, 300);
	CHECK_EQ(status.rss_kib, 1234);
	CHECK_EQ(proc_text_status("Name:\tVmRSS: 9", &status), 0);
	CHECK_EQ(status.rss_kib, 1234);
}

int main(void)
{
	CHECK_EQ(survey_new(&survey), 0);
	if (!survey)
		return 1;

	RUN(test_a_process_is_described_as_proc_does);
	RUN(test_rss_is_in_bytes);
	RUN(test_cpu_time_is_in_microseconds);
	RUN(test_gone_processes_are_gone);
	RUN(test_a_zombie_does_not_inherit_its_neighbours_figures);
	RUN(test_another_start_time_is_another_process);
	RUN(test_gaps_and_long_lists_are_no_end);
	RUN(test_a_tree_counts_its_grandchildren);
	RUN(test_seccomp_is_seen_per_thread);
	RUN(test_numbers_in_namespaces_are_counted);
	RUN(test_overlong_lines_hide_no_other_line);
	RUN(test_malformed_seccomp_lines_are_refused);
	RUN(test_a_name_may_hold_anything);
	RUN(test_who_is_on_the_way_out_is_known);
	RUN(test_malformed_processes_are_refused);
	RUN(test_a_thread_is_no_process);

	survey_free(survey);
	return TEST_RESULT();
}
