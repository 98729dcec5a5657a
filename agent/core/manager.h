/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Owns the loop and every module: builds, connects, reloads, stops. */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "agent/model/group.h"

struct manager;
struct tree;

struct manager_options {
	const char *runtime_directory;
	const char *config_file;  /* NULL: the system's files */
	const char *cgroup_root;  /* NULL: find it */
	bool system_bus;          /* else a user's, for his own units */
	bool user;                /* it is reached by `memguardctl --user` */
	bool quiet_journal;       /* `run`: outcomes are told at the end, not as they happen */
	bool notify;              /* the service manager hears of reloads and status */
	int hook_fd;              /* activated sockets, or -1 */
	int bus_fd;
	int pressure_fd;
};

/* Takes the descriptors on success. Logs what failed. */
int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret);
struct manager *manager_free(struct manager *manager);

/* Instead of sd_event_loop() with its event, which alone would not hear all that the kernel tells. */
int manager_loop(struct manager *manager);
void manager_freep(struct manager **manager);

/*
 * Parse all, then swap. 0, or negative with the messages in @text, a line each, as many as fit;
 * old settings stay.
 */
int manager_reload(struct manager *manager, char *text, size_t size);

/*
 * For `run`: a command guarded by RSS against a limit. tree_rss() comes with it, so that only
 * who has a command has the library behind it (sense/tree.h).
 */
struct manager_command {
	pid_t pid; /* leads it */
	const char *name;
	uint64_t limit_bytes;
	int (*rss)(struct tree *tree, pid_t pid, uint64_t *ret_bytes);
	struct tree *tree; /* outlives the manager */
};
int manager_guard_command(struct manager *manager, const struct manager_command *command);

/* For `run`: calls @f for every group, with what is thought of it. */
int manager_each_group(struct manager *manager,
		       int (*f)(const struct group *, const struct diagnosis *, void *), void *arg);
