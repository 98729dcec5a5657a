/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One question to one hook: one deadline, exactly one end.
 *
 *   FREE -> SENT -> ANSWERED | TIMED_OUT | GONE -> FREE
 *            \-> OVERTAKEN, by another, whose end is the end of both
 *
 * After a timeout the hook may still be at work: the conn stays busy until the late
 * answer arrives (dropped and counted) or the connection ends.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/conn.h"

enum request_end {
	REQUEST_ANSWERED, /* look at answer->header.status */
	REQUEST_OVERTAKEN, /* the answer to the first of two, see request_overtake(); no end */
	REQUEST_TIMED_OUT,
	REQUEST_GONE, /* the connection ended first */
};

/* What to release, and how. 0 where a limit or a choice is meant: there is none. */
struct reclaim {
	enum wire_method method;
	uint32_t allocators; /* bits of enum wire_allocator */
	uint64_t limit_bytes;
	uint64_t limit_usec; /* cut to what the wire can say */
};

/* The answer; ARENA rows only after a STATS request with WIRE_STATS_ARENAS. */
struct request_answer {
	const struct wire_frame *frame;
	const struct wire_arena *rows; /* valid during the callback */
	size_t n_rows;
};

/* @answer is NULL unless REQUEST_ANSWERED or REQUEST_OVERTAKEN. */
typedef void (*request_done_t)(struct conn *conn, enum request_end end,
			       const struct request_answer *answer, void *userdata);

/*
 * Sends and returns 0; @done follows exactly once, never from inside this call. -EBUSY:
 * a question is open or a late answer outstanding; -ENOTCONN, -EPIPE: over, or about to
 * be (on_end follows). Then @done is not called.
 */
int request_stats(struct conn *conn, uint32_t wire_stats_flags, uint64_t timeout_usec,
		  request_done_t done, void *userdata);
int request_reclaim(struct conn *conn, const struct reclaim *reclaim, uint64_t timeout_usec,
		    request_done_t done, void *userdata);
int request_tune(struct conn *conn, enum wire_knob knob, uint64_t value,
		 uint64_t timeout_usec, request_done_t done, void *userdata);

/*
 * While a RECLAIM is open: asks for another, which a hook begins at once, giving up the first,
 * and an older one when it is done with that. Both are one question with the new deadline, of
 * which the first @done is told: of the first answer, if it comes, by REQUEST_OVERTAKEN, then of
 * the end. -EBUSY: one was overtaken before, or what is open is no RECLAIM; others as above.
 */
int request_overtake(struct conn *conn, const struct reclaim *reclaim, uint64_t timeout_usec);

bool request_busy(const struct conn *conn);
/* Somebody will be told how it ends: not of a question whose answer came too late, if it comes. */
bool request_awaited(const struct conn *conn);
