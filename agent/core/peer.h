/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One hooked process, live: joins a group, is tuned, is asked for statistics. */

#include "agent/core/state.h"

/* A connection that said HELLO becomes a peer. Negative: it cannot be guarded; logged. */
int peer_new(struct manager *manager, struct conn *conn, const struct wire_hello *hello,
	     struct peer **ret);
/* Becomes one of @guard's, and is tuned by its settings. Must be in no group. */
void peer_join(struct peer *peer, struct guard *guard);
/* Leaves its group and closes the connection. */
struct peer *peer_free(struct peer *peer);

/*
 * Takes a new look at the process; keeps the last one when it cannot. Where it is gone, be it
 * that another has its pid by now, the connection ends soon: somebody else holds it.
 */
void peer_survey(struct peer *peer, uint64_t now_usec);
/*
 * Asks for its figures, whatever is known of it; round_go_on() follows when they are there, which takes
 * milliseconds, and at most PEER_MEASURE_USEC: it may be stopped or starved.
 */
#define PEER_MEASURE_USEC (10 * USEC_PER_SEC)
int peer_measure(struct peer *peer);

/*
 * 0: the process that connected was there until now, so what was read under its pid was of
 * it. -ESRCH: gone; the connection ends soon. -EAGAIN: on its way out, in no group any more.
 * Other: cannot be known now.
 */
int peer_check_identity(struct peer *peer);

/* May the agent be woken? 0, or -EPERM: a filter was put on it since, and it might be killed. */
int peer_check_agent(struct peer *peer);

/* Asks for statistics if they are stale. True when it did. */
bool peer_refresh(struct peer *peer, uint64_t now_usec);

/* Takes an answer to STATS in. */
void peer_take_stats(struct peer *peer, const struct wire_stats *wire);

/* Takes the answer to a release in: what it gave, and what that teaches. */
void peer_take_release(struct peer *peer, const struct wire_reclaim_reply *reply);
