/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Who calls, and whether he may. On the private socket the kernel has said who it is; on
 * the system bus the bus is asked, and for what changes something polkit besides. Neither
 * is waited for: they may be swapped out.
 */

#include "agent/report/bus-state.h"

/* What polkit decides about; the names are those of etc/org.memguard.policy. */
#define ACTION_TRIM "org.memguard.trim"
#define ACTION_TUNE "org.memguard.tune"
#define ACTION_RELOAD "org.memguard.reload"
/* Root's and the daemon's own, whatever polkit says. */
#define ACTION_ROOT "root"

/* Whose call it is, and that he may make it, is known by now. */
typedef void (*bus_caller_run_t)(struct bus *bus, sd_bus_message *call, uid_t uid);

/*
 * Calls @run, now or later, or answers @call with an error. @action: NULL where everybody
 * may; a constant, as it is kept.
 */
void bus_caller_check(struct bus *bus, sd_bus_message *call, const char *action,
		      bus_caller_run_t run);

/* The system bus is gone, and with it who was waiting for it. */
void bus_caller_forget(struct bus *bus);
