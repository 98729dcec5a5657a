/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Commands of Exec=, started by the helper (helper.h), and what the kernel reclaims: to have one
 * started is one datagram, which allocates nothing and waits for nobody. A helper that ends is replaced.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct exec;

struct exec_call {
	uint64_t key;            /* one at a time of each: a group, or those below one limit */
	const char *name;        /* of the group, for the log; copied */
	const char *line;        /* stays: as settings.h says of exec_line */
	const char *environment; /* lines of NAME=VALUE, up to HELPER_ENVIRONMENT_MAX */
};

struct exec_handler {
	/* May a helper be started now? That takes memory; it is asked each time that one has ended. */
	bool (*is_calm)(void *userdata);
	/* exec_reclaim() has ended. @error: positive errno, 0: it did all; ECHILD: nobody knows. */
	void (*on_reclaimed)(uint64_t key, int error, void *userdata);
};

/* No helper yet. @handler stays. */
int exec_new(sd_event *event, const struct exec_handler *handler, void *userdata, struct exec **ret);
struct exec *exec_free(struct exec *exec);
void exec_freep(struct exec **exec);

/* Is anything to be expected? Then there is a helper, else none; what runs is let be. */
void exec_want(struct exec *exec, bool wanted);

/*
 * -EALREADY: that of the same key still runs; -EBUSY: as many as may be run, of all groups;
 * -EAGAIN: the helper does not keep up; -ENOTCONN: there is none now; -EMSGSIZE. How the
 * command ends is logged.
 */
int exec_run(struct exec *exec, const struct exec_call *call);

/*
 * Has the kernel reclaim by @fd (cgroup_open_reclaim()), which the caller may close then. @name: as
 * above. Returns as exec_run() does; one at a time of each @key, beside a command of the same, and
 * HELPER_RECLAIMS_MAX of all. -EINVAL: of nothing.
 */
int exec_reclaim(struct exec *exec, uint64_t key, const char *name, int fd, uint64_t bytes);

/* Waits until the helper has said that it is ready, if one is wanted; for the start only. */
int exec_await(struct exec *exec, uint64_t timeout_usec);

/* 1 while there is a helper that has said it is ready, 0 while not. */
bool exec_is_ready(const struct exec *exec);
/* Commands that were not started, or of which the end is not known. */
uint64_t exec_n_lost(const struct exec *exec);

/* Takes @fd as the helper's: for tests. */
int exec_connect(struct exec *exec, int fd);
