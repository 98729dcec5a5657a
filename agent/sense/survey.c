/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The facts of one process, from its files. */

#include "agent/sense/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/sense/proc-text.h"

struct survey {
	uint64_t ticks_per_sec;
};

/* What a vanished process or thread looks like: no file, or one that cannot be read. */
static int gone(int r)
{
	return r == -ENOENT ? -ESRCH : r;
}

static int scan_file(const char *path, proc_text_line_t on_line, void *userdata)
{
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return gone(-errno);

	return gone(proc_text_scan(fd, on_line, userdata));
}

/* What comes behind the filter is not wanted, and is not read. */
static int on_status(const char *line, void *userdata)
{
	static const char last[] = "Seccomp:";
	const int r = proc_text_status(line, userdata);

	return r < 0 ? r : strncmp(line, last, strlen(last)) == 0;
}

/* Of a thread, or with @tid 0 of the process. */
static int read_status(pid_t pid, pid_t tid, struct proc_status *ret)
{
	char path[64];

	*ret = (struct proc_status){ 0 };
	if (tid > 0)
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	else
		(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);

	return scan_file(path, on_status, ret);
}

/*
 * By hand rather than through libproc2, which allocates for each process: this is done when
 * memory is short. Two files, some 20 us. All threads have the same memory, and mostly the same
 * user: the agent's tell of the process as well as its first.
 */
int survey_member(struct survey *survey, pid_t pid, pid_t tid, struct process *ret,
		  bool *ret_filtered)
{
	struct proc_status status;
	struct proc_stat stat;
	char path[64], text[1024];
	ssize_t n;
	int r;

	/* /proc/0 does not exist, and a negative number would be another path. */
	if (pid <= 0)
		return -ESRCH;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = fd_read_line_file(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return gone((int)n);
	r = proc_text_stat(text, &stat);
	if (r < 0)
		return r;

	r = read_status(pid, tid, &status);
	/* Ended (a tracer may keep it), or in another pid namespace with another number for us. */
	if (tid > 0 && (r == -ESRCH || (r >= 0 && status.rss_kib == 0))) {
		tid = 0;
		r = read_status(pid, tid, &status);
	}
	if (r < 0)
		return r;
	/* A thread of another one. */
	if (status.tgid != (uint64_t)pid)
		return -ESRCH;

	*ret = (struct process){
		.pid = pid,
		.start_time = stat.start_ticks,
		.uid = (uid_t)status.euid,
		.rss_bytes = status.rss_kib * KIB,
		.anon_bytes = status.anon_kib * KIB,
		.shmem_permyriad = (uint16_t)(MIN(status.shmem_kib, status.rss_kib) * PERMYRIAD /
					      MAX(status.rss_kib, 1U)),
		.swap_bytes = status.swap_kib * KIB,
		.n_faults = stat.n_faults,
		.cpu_usec = stat.cpu_ticks * USEC_PER_SEC / survey->ticks_per_sec,
		.n_threads = (unsigned int)stat.n_threads,
		.state = stat.state,
		.exiting = stat.exiting,
	};
	memcpy(ret->command, stat.command, sizeof(ret->command));
	*ret_filtered = tid > 0 && status.seccomp != 0;
	return 0;
}

int survey_process(struct survey *survey, pid_t pid, struct process *ret)
{
	bool filtered;

	return survey_member(survey, pid, 0, ret, &filtered);
}

int survey_processes(struct survey *survey, struct process *processes, size_t n)
{
	struct process process;
	int r, n_left = 0;

	for (size_t i = 0; i < n; i++) {
		const uint64_t start_time = processes[i].start_time;

		r = survey_process(survey, processes[i].pid, &process);
		if (r < 0 && r != -ESRCH)
			return r;
		if (r < 0 || (start_time != 0 && process.start_time != start_time)) {
			processes[i].pid = 0;
			continue;
		}
		processes[i] = process;
		n_left++;
	}

	return n_left;
}

int survey_new(struct survey **ret)
{
	_cleanup_(survey_freep) struct survey *survey = calloc(1, sizeof(*survey));
	struct process self;
	int r;

	if (!survey)
		return -ENOMEM;

	survey->ticks_per_sec = (uint64_t)sysconf(_SC_CLK_TCK);
	/* Without /proc there is nothing to go by: let that be known now. */
	r = survey_process(survey, getpid(), &self);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(survey);
	return 0;
}

struct survey *survey_free(struct survey *survey)
{
	free(survey);
	return NULL;
}

void survey_freep(struct survey **survey)
{
	*survey = survey_free(*survey);
}

int survey_seccomp(pid_t pid, pid_t tid)
{
	char path[64];
	int r, mode;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	r = scan_file(path, proc_text_seccomp, &mode);
	if (r < 0)
		return r;

	/* Kernels without seccomp do not have the line. */
	return r > 0 ? mode : 0;
}

int survey_is_contained(pid_t pid)
{
	char path[64];
	int r, depth;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	r = scan_file(path, proc_text_pid_depth, &depth);
	if (r < 0)
		return r;

	/* Kernels without these namespaces do not have the line. */
	return r > 0 && depth > 1;
}
