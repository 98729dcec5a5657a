/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* [Tune]: what is set in a process when it joins a group, or after TuneAfter= releases in vain. */

#include "agent/core/state.h"

/* All that is due in @peer, which has just joined. Goes on by itself. */
void knobs_begin(struct peer *peer);

/* The next one that is due, where another question came in between. */
void knobs_go_on(struct peer *peer);

/* TuneAfter=: if the group has come back often enough, its members are tuned now. */
void knobs_late(struct guard *guard);
