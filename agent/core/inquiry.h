/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a command asks of one process: figures, or a setting. Who is at another question is asked
 * when that has ended; of who is stopped or frozen it is said at once.
 */

#include "agent/core/state.h"

/* Ends in a part of the command's reply, and in command_close(). */
void inquiry_begin(struct peer *peer, struct command *command);

/* It leaves: whoever waits to ask it waits in vain. */
void inquiry_forget(struct peer *peer);

int inquiry_prepare(struct manager *manager);
