/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A process and its descendants. Apart from survey.h, because only `memguardctl run` needs it:
 * memguardd shall not carry the library that reads them.
 */

#include <stdint.h>
#include <sys/types.h>

struct tree;

int tree_new(struct tree **ret);
struct tree *tree_free(struct tree *tree);

/*
 * Sum of RSS over @pid and all its descendants; shared pages count for each of them, and
 * whoever was left by its parent is no descendant. -ESRCH when @pid is gone.
 */
int tree_rss(struct tree *tree, pid_t pid, uint64_t *ret_bytes);
