/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Second looks at what rounds released, to the journal; without one a line. */

#include <sys/types.h>

#include "agent/model/group.h"

/* Our message id: stable, in etc/memguard.catalog and memguard(8). */
#define MESSAGE_SECOND_LOOK "182a5ff7494b46a3bc469156a1d71e9e"

/* One sentence for people, also used by the command line. */
void journal_look_sentence(const struct group *group, const struct outcome *outcome,
			   char *buf, size_t size);

/* The entry, ready to be sent: its length, or -E2BIG. Allocates nothing. */
ssize_t journal_look_format(const struct group *group, const struct outcome *outcome,
			    char *buf, size_t size);

void journal_look(const struct group *group, const struct outcome *outcome);
