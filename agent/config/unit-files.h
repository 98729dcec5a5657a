/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The drop-ins of services, as systemd.unit(5) lays them out: NAME.service.d/CONF.conf in the directories
 * that administrators and packages use. What systemd writes by itself (system.control, transient,
 * generators) holds no section of ours.
 */

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/files.h"

#define UNIT_FILES_NAME_MAX 256

/*
 * Calls @f with those of all services, of the system or with @user of the caller's own, marked as of_unit:
 * those of one name together, in their order, until @f returns less than 0. It may take the path and
 * leave NULL there; each begins with @root. 0, what @f returned, or -ENOMEM and the like; what cannot be
 * listed is systemd's business.
 */
int unit_files_each(const char *root, bool user, int (*f)(struct file *file, void *userdata), void *userdata);

/* Is @path one of them, by the directory it is in? */
bool unit_files_is_drop_in(const char *path);

/*
 * The unit that the drop-in @path is for; behind an alias the one that it stands for. False where it is
 * for no single unit or template: "app-.service.d", "service.d".
 */
bool unit_files_name(const char *root, bool user, const char *path, char ret[static UNIT_FILES_NAME_MAX]);
