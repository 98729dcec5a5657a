/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Alerts to the journal, one entry each, with a message id of its own kind. Fields are
 * documented in memguard(8), texts are in etc/memguard.catalog.
 */

#include <sys/types.h>

#include "agent/model/alert.h"
#include "agent/model/group.h"

#define MESSAGE_USAGE_CRITICAL "a6306473f75e4fa5a0bd4648aa5caba5"
#define MESSAGE_KILL_NEAR "ab3d0854b4ab4f4da0b53091c0e98d09"
#define MESSAGE_OOM_KILL "a9f2a3f5d2b7456b84b2c573ca8d2ea7"
#define MESSAGE_NOT_PAYING "bf8a9b6a5c614f8fafc99b61b3e48598"

void journal_alert(const struct group *group, const struct alert *alert);

/* What it says, and the whole entry; as journal_sentence() and journal_format(). */
void journal_alert_sentence(const struct group *group, const struct alert *alert,
			    char *buf, size_t size);
ssize_t journal_alert_format(const struct group *group, const struct alert *alert,
			     char *buf, size_t size);
