/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Through libproc2, whose figures are good until the next call. */

#include "agent/sense/tree.h"

#include <errno.h>
#include <libproc2/pids.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

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

struct tree {
	struct pids_info *info;
	uint64_t page_bytes;
};

int tree_new(struct tree **ret)
{
	struct tree *tree;
	int r;

	tree = calloc(1, sizeof(*tree));
	if (!tree)
		return -ENOMEM;

	tree->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	r = procps_pids_new(&tree->info, branches, BRANCH_MAX_);
	if (r < 0) {
		free(tree);
		return r;
	}

	*ret = tree;
	return 0;
}

struct tree *tree_free(struct tree *tree)
{
	if (!tree)
		return NULL;

	(void)procps_pids_unref(&tree->info);
	free(tree);
	return NULL;
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

int tree_rss(struct tree *tree, pid_t pid, uint64_t *ret_bytes)
{
	struct pids_fetch *fetch;
	uint64_t n_pages = 0;
	bool found = false;

	errno = 0;
	fetch = procps_pids_reap(tree->info, PIDS_FETCH_TASKS_ONLY);
	if (!fetch || !procps_pids_sort(tree->info, fetch->stacks, fetch->counts->total,
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

	*ret_bytes = n_pages * tree->page_bytes;
	return 0;
}
