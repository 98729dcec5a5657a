/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files to a struct config, with a finding for everything that is wrong in any. */

#include "agent/config/config-state.h"

/*
 * Reads config->files in order, then drop-ins of units, of which it appends those that have something for
 * us; links within @root. @user: units are the caller's own. @named: the one file was asked for by name,
 * so it must exist, and is all. Results as config_load(); after a failure @config is good only to be freed.
 */
int load_files(struct config *config, const char *root, bool user, bool named, config_message_t message,
	       void *userdata);
