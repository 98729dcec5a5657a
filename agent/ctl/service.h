/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What systemd knows about a service that matters to the hook, and what in it will keep
 * the hook from working. Tells what goes wrong, and warns; the caller only passes errors
 * on.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/basic/macro.h"
#include "agent/ctl/dropin.h"

struct service {
	char *preload; /* LD_PRELOAD= in Environment=, or NULL */
	char *preload_file; /* an EnvironmentFile= that sets it and wins; or NULL */
	char *program; /* absolute path of the first ExecStart=; or NULL */
	char *root; /* RootDirectory= or RootImage=; or NULL */
	char *filters; /* settings that install a system call filter: "A=, B="; or NULL */
	char *profile; /* of AppArmor's that confines it, or will; or NULL */
	uint64_t tasks, tasks_max; /* it has, and may have; 0: not known, or without end */
	bool asan_yields; /* Environment= says that address sanitizer need not be first */
	bool no_unix; /* RestrictAddressFamilies= without AF_UNIX */
};

/* Can the manager be asked at all? As service_load(), which says the same of each unit. */
int service_reach(bool user);

/* -ENOENT: no such unit; -EINVAL: masked or broken; -EOPNOTSUPP: no systemd here. */
int service_load(bool user, const char *unit, struct service *ret);
void service_donep(struct service *service);

/* -EOPNOTSUPP: told why its program would not run with anything preloaded. */
int service_check(const struct service *service, const char *unit);

/* Is it there for others to hang on, as Debian's postgresql.service, and runs /bin/true? */
bool service_is_empty(const struct service *service);

void service_warn(const struct service *service, const char *unit, const char *hook);

/* The drop-in does not start the daemon: who has stopped it wants it so. Says when nobody would answer. */
void service_warn_stopped(bool user);

/* As `systemctl daemon-reload`. */
int service_reload(bool user);

/* Under which name systemd has @unit, which may be an alias; @unit itself where it does not say. */
void service_name(bool user, const char *unit, char ret[static DROPIN_UNIT_MAX]);

/* 0: there is no such unit, it does not run, or has no main process. */
int service_main_pid(bool user, const char *name);

/*
 * Does systemd start the unit with what @file says? -ENOENT: it has not read it; -EEXIST: what it
 * preloads is without @hook.
 */
int service_check_dropin(bool user, const char *unit, const char *file, const char *hook);
