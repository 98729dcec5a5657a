/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Process facts, through one libproc2 handle. Its figures are good until the next call,
 * so everything is copied out at once.
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

/* Of one select; libproc2 takes 254. */
#define CHUNK_MAX 64

/*
 * These are in stat and status of a process, those of a tree in stat alone. libproc2 keeps
 * 1024 rows of (items + 1) x 16 bytes: no item more than is used.
 */
enum facts {
	FACT_PID,
	FACT_TGID,
	FACT_BEGAN,
	FACT_EUID,
	FACT_STATE,
	FACT_RSS,
	FACT_SWAP,
	FACT_TICS,
	FACT_THREADS,
	FACT_COMMAND,
	FACT_MAX_,
};

static enum pids_item facts[FACT_MAX_] = {
	[FACT_PID] = PIDS_ID_PID,
	[FACT_TGID] = PIDS_ID_TGID,
	[FACT_BEGAN] = PIDS_TICS_BEGAN,
	[FACT_EUID] = PIDS_ID_EUID,
	[FACT_STATE] = PIDS_STATE,
	[FACT_RSS] = PIDS_VM_RSS,
	[FACT_SWAP] = PIDS_VM_SWAP,
	[FACT_TICS] = PIDS_TICS_ALL,
	[FACT_THREADS] = PIDS_NLWP,
	[FACT_COMMAND] = PIDS_CMD,
};

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
	struct pids_info *info;
	uint64_t ticks_per_sec;
	uint64_t page_bytes;
};

/* Takes the begin of @processes, skips what cannot be a process. */
static int collect_pids(const struct process *processes, size_t n, unsigned int *ret_pids)
{
	int n_pids = 0;

	/* A zero would end libproc2's list, a negative one is no process. */
	for (size_t i = 0; i < n; i++)
		if (processes[i].pid > 0)
			ret_pids[n_pids++] = (unsigned int)processes[i].pid;

	return n_pids;
}

static void fill(const struct survey *survey, struct pids_stack *stack,
		 struct process *ret)
{
	const struct pids_result *facts_of = stack->head;
	const uint64_t ticks = facts_of[FACT_TICS].result.ull_int;
	const char *command = facts_of[FACT_COMMAND].result.str;

	*ret = (struct process){
		.pid = facts_of[FACT_PID].result.s_int,
		.start_time = facts_of[FACT_BEGAN].result.ull_int,
		.uid = facts_of[FACT_EUID].result.u_int,
		.rss_bytes = facts_of[FACT_RSS].result.ul_int * KIB,
		.swap_bytes = facts_of[FACT_SWAP].result.ul_int * KIB,
		.cpu_usec = ticks * USEC_PER_SEC / survey->ticks_per_sec,
		.n_threads = (unsigned int)facts_of[FACT_THREADS].result.s_int,
		.state = (char)facts_of[FACT_STATE].result.s_ch,
	};
	(void)snprintf(ret->command, sizeof(ret->command), "%s", command ? command : "");
}

/* The row of @process, unless it is a thread's or another process's by now. */
static struct pids_stack *find(const struct pids_fetch *fetch,
			       const struct process *process)
{
	struct pids_stack *stack;

	for (int i = 0; i < fetch->counts->total; i++) {
		stack = fetch->stacks[i];
		if (stack->head[FACT_PID].result.s_int != process->pid)
			continue;
		if (stack->head[FACT_TGID].result.s_int != process->pid)
			return NULL;
		if (process->start_time != 0 &&
		    stack->head[FACT_BEGAN].result.ull_int != process->start_time)
			return NULL;
		return stack;
	}

	return NULL;
}

static int survey_chunk(struct survey *survey, struct process *processes, size_t n)
{
	unsigned int pids[CHUNK_MAX];
	struct pids_fetch *fetch;
	struct pids_stack *stack;
	int n_pids, n_left = 0;

	n_pids = collect_pids(processes, n, pids);
	if (n_pids == 0)
		return 0;

	errno = 0;
	fetch = procps_pids_select(survey->info, pids, n_pids, PIDS_SELECT_PID);
	if (!fetch)
		return errno > 0 ? -errno : -EIO;

	for (size_t i = 0; i < n; i++) {
		stack = find(fetch, &processes[i]);
		if (stack) {
			fill(survey, stack, &processes[i]);
			n_left++;
		} else {
			processes[i].pid = 0;
		}
	}

	return n_left;
}

int survey_processes(struct survey *survey, struct process *processes, size_t n)
{
	int r, n_left = 0;

	for (size_t i = 0; i < n; i += CHUNK_MAX) {
		r = survey_chunk(survey, processes + i, MIN(n - i, CHUNK_MAX));
		if (r < 0)
			return r;
		n_left += r;
	}

	return n_left;
}

int survey_process(struct survey *survey, pid_t pid, struct process *ret)
{
	struct process process = { .pid = pid };
	int r;

	r = survey_processes(survey, &process, 1);
	if (r <= 0)
		return r < 0 ? r : -ESRCH;

	*ret = process;
	return 0;
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
	r = procps_pids_new(&survey->info, facts, FACT_MAX_);
	if (r < 0)
		return r;

	/* The first select makes libproc2's tables: let that be now, not in a crisis. */
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
	int r, q;

	r = procps_pids_reset(survey->info, branches, BRANCH_MAX_);
	if (r < 0)
		return r;

	r = sum_tree(survey, pid, ret_bytes);
	q = procps_pids_reset(survey->info, facts, FACT_MAX_);

	return r < 0 ? r : q;
}

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
