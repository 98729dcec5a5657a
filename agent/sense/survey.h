/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Process facts, from /proc. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/member.h"

struct survey;

int survey_new(struct survey **ret);
struct survey *survey_free(struct survey *survey);
void survey_freep(struct survey **survey);

/* One process; -ESRCH when it is gone, or a thread of another one. */
int survey_process(struct survey *survey, pid_t pid, struct process *ret);

/*
 * The same of a hook's process, and whether its agent's thread @tid is under a filter: most of
 * what the two want is in one file. False too where there is no such thread; see below.
 */
int survey_member(struct survey *survey, pid_t pid, pid_t tid, struct process *ret,
		  bool *ret_filtered);

/*
 * Fills in those of @processes that still exist, by their .pid; the others get pid 0.
 * A different start_time than the one given (if not 0) counts as gone. Returns
 * how many are left.
 */
int survey_processes(struct survey *survey, struct process *processes, size_t n);

/*
 * "Seccomp:" of one thread (0 none, 1 strict, 2 filter); -ESRCH when it is gone. Asked
 * before every request: an agent under a filter it did not start with must not be woken.
 */
int survey_seccomp(pid_t pid, pid_t tid);

/* 1: in a pid namespace below ours, as containers are; 0: in ours; -ESRCH when it is gone. */
int survey_is_contained(pid_t pid);
