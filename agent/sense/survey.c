/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Process facts: of one process from its files, of a tree through libproc2, whose figures
 * are good until the next call.
 */

#include "agent/sense/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <libproc2/pids.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/sense/proc-text.h"

enum branches {
	BRANCH_PID,
	BRANCH_PPID,
	BRANCH_RSS_PAGES,
	BRANCH_MAX_,
};

static enum pids_item branches[BRANCH_MAX_] = {
	[BRANCH_PID] = PIDS_ID_PID,
	[BRANCH_PPID] = PIDS_ID_PPID,
	[BRANCH_RSS_PAGES] = PIDS_RSS,
};

struct survey {
	struct pids_info *info; /* of survey_tree_rss(); NULL before its first call */
	uint64_t ticks_per_sec;
	uint64_t page_bytes;
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

/*
 * By hand rather than through libproc2, which allocates for each process: this is done when
 * memory is short. Two files, some 20 us.
 */
int survey_process(struct survey *survey, pid_t pid, struct process *ret)
{
	struct proc_status status = { .tgid = 0 };
	struct proc_stat stat;
	char path[64], text[1024];
	ssize_t n;
	int r;

	/* /proc/0 does not exist, and a negative number would be another path. */
	if (pid <= 0)
		return -ESRCH;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = fd_read_file(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return gone((int)n);
	r = proc_text_stat(text, &stat);
	if (r < 0)
		return r;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	r = scan_file(path, proc_text_status, &status);
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
		.swap_bytes = status.swap_kib * KIB,
		.cpu_usec = stat.cpu_ticks * USEC_PER_SEC / survey->ticks_per_sec,
		.n_threads = (unsigned int)stat.n_threads,
		.state = stat.state,
	};
	memcpy(ret->command, stat.command, sizeof(ret->command));
	return 0;
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
	survey->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	/* Without /proc there is nothing to go by: let that be known now. */
	r = survey_process(survey, getpid(), &self);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(survey);
	return 0;
}

struct survey *survey_free(struct survey *survey)
{
	if (!survey)
		return NULL;

	if (survey->info)
		(void)procps_pids_unref(&survey->info);
	free(survey);
	return NULL;
}

void survey_freep(struct survey **survey)
{
	*survey = survey_free(*survey);
}

static int compare_pids(const void *key, const void *element)
{
	const struct pids_stack *const *stack = element;
	const int a = *(const int *)key, b = (*stack)->head[BRANCH_PID].result.s_int;

	return (a > b) - (a < b);
}

/* Walks up from @stack. Bounded: pids are reused while /proc is read, so rings can be. */
static bool descends_from(const struct pids_fetch *fetch, const struct pids_stack *stack,
			  pid_t ancestor)
{
	struct pids_stack **parent;

	for (int i = 0; i <= fetch->counts->total; i++) {
		if (stack->head[BRANCH_PID].result.s_int == ancestor)
			return true;

		parent = bsearch(&stack->head[BRANCH_PPID].result.s_int, fetch->stacks,
				 (size_t)fetch->counts->total, sizeof(*parent),
				 compare_pids);
		if (!parent)
			return false;
		stack = *parent;
	}

	return false;
}

static int sum_tree(struct survey *survey, pid_t pid, uint64_t *ret_bytes)
{
	struct pids_fetch *fetch;
	uint64_t n_pages = 0;
	bool found = false;

	errno = 0;
	fetch = procps_pids_reap(survey->info, PIDS_FETCH_TASKS_ONLY);
	if (!fetch || !procps_pids_sort(survey->info, fetch->stacks, fetch->counts->total,
					PIDS_ID_PID, PIDS_SORT_ASCEND))
		return errno > 0 ? -errno : -EIO;

	for (int i = 0; i < fetch->counts->total; i++) {
		const struct pids_stack *stack = fetch->stacks[i];

		if (!descends_from(fetch, stack, pid))
			continue;
		n_pages += stack->head[BRANCH_RSS_PAGES].result.ul_int;
		found = found || stack->head[BRANCH_PID].result.s_int == pid;
	}

	if (!found)
		return -ESRCH;

	*ret_bytes = n_pages * survey->page_bytes;
	return 0;
}

int survey_tree_rss(struct survey *survey, pid_t pid, uint64_t *ret_bytes)
{
	int r;

	/* Only `run` needs it, and its tables take more than all else here. */
	if (!survey->info) {
		r = procps_pids_new(&survey->info, branches, BRANCH_MAX_);
		if (r < 0)
			return r;
	}

	return sum_tree(survey, pid, ret_bytes);
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

int survey_has_library(pid_t pid, const char *library)
{
	char path[64], name[256];

	if (strlen(library) >= sizeof(name))
		return -EINVAL;
	(void)strcpy(name, library);

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	return scan_file(path, proc_text_maps, name);
}
