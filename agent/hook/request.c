/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one open question of a connection: sending it, and ending it exactly once. */

#include "agent/hook/request.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/hook/conn-internal.h"

/* The hook has no more than 256; a peer that claims more is listened to, not believed. */
#define ROWS_MAX 256

/*
 * An answer with rows, while it comes in. Too large for every connection, and asked for only by
 * people: made when needed, and found among the few there are.
 */
struct collected {
	LIST_ENTRY(collected) list;
	const struct conn *conn;
	struct wire_frame frame;
	size_t n_rows;
	struct wire_arena rows[ROWS_MAX];
};

static LIST_HEAD(, collected) all_collected = LIST_HEAD_INITIALIZER(all_collected);

/* NULL: no rows are wanted, or no longer. */
static struct collected *find_collected(const struct conn *conn)
{
	struct collected *collected;

	if (!conn->question.wants_rows)
		return NULL;

	LIST_FOREACH(collected, &all_collected, list)
		if (collected->conn == conn)
			break;
	return collected;
}

static struct collected *take_collected(const struct conn *conn)
{
	struct collected *collected = find_collected(conn);

	if (collected)
		LIST_REMOVE(collected, list);
	return collected;
}

/* Ends the question; the callback may ask the next one, or free the connection. */
static void request_end(struct conn *conn, enum request_end end,
			const struct request_answer *answer)
{
	struct question *question = &conn->question;

	conn_disarm(conn);
	question->state = QUESTION_NONE;
	question->done(conn, end, answer, question->userdata);
}

/* All frames are there. */
static void request_complete(struct conn *conn, const struct wire_frame *frame)
{
	struct question *question = &conn->question;
	struct collected *collected = take_collected(conn);
	struct request_answer answer = { .frame = frame };

	if (question->state == QUESTION_LATE) {
		question->state = QUESTION_NONE;
		question->n_late++;
		log_debug("Process %d answered question %" PRIu32 " too late, "
			  "for the %" PRIu32 ". time; dropping it",
			  (int)conn_pid(conn), question->id, question->n_late);
		return;
	}

	if (collected) {
		answer.frame = &collected->frame;
		answer.rows = collected->rows;
		answer.n_rows = collected->n_rows;
	}
	request_end(conn, REQUEST_ANSWERED, &answer);
	free(collected);
}

static int request_take_first(struct conn *conn, const struct wire_frame *frame)
{
	struct question *question = &conn->question;
	struct collected *collected = find_collected(conn);
	const uint32_t n_frames =
		frame->header.verb == WIRE_STATS ? frame->stats.n_arena_frames : 0;

	if (frame->header.verb != question->verb)
		return -EPROTO;
	/* Who refuses need not say what. */
	if (frame->header.verb == WIRE_TUNE && frame->header.status == WIRE_OK &&
	    frame->tune_reply.knob != question->knob)
		return -EPROTO;
	if (n_frames > 0 && !question->wants_rows)
		return -EPROTO;

	if (collected)
		collected->frame = *frame;
	question->n_frames_left = (uint16_t)n_frames;
	if (n_frames == 0)
		request_complete(conn, frame);

	return 0;
}

/* What the first of two questions came to; the other one's answer follows. */
static int request_take_overtaken(struct conn *conn, const struct wire_frame *frame)
{
	struct question *question = &conn->question;
	const struct request_answer answer = { .frame = frame };

	if (frame->header.verb != WIRE_RECLAIM || frame->header.id != question->id - 1)
		return -EPROTO;

	question->overtaken = false;
	if (question->state == QUESTION_LATE)
		question->n_late++;
	else
		question->done(conn, REQUEST_OVERTAKEN, &answer, question->userdata);

	return 0;
}

static int request_take_rows(struct conn *conn, const struct wire_frame *frame)
{
	struct question *question = &conn->question;
	struct collected *collected = find_collected(conn);
	const struct wire_arenas *arenas = &frame->arenas;

	if (frame->header.verb != WIRE_ARENA || arenas->first != question->n_rows_told)
		return -EPROTO;

	for (uint32_t i = 0; i < arenas->n_rows; i++)
		if (collected && collected->n_rows < ROWS_MAX)
			collected->rows[collected->n_rows++] = arenas->rows[i];

	question->n_rows_told += (uint16_t)arenas->n_rows;
	if (--question->n_frames_left == 0)
		request_complete(conn, frame);

	return 0;
}

int request_take(struct conn *conn, const struct wire_frame *frame)
{
	const struct question *question = &conn->question;

	if (question->state == QUESTION_NONE)
		return -EPROTO;
	if (question->overtaken)
		return request_take_overtaken(conn, frame);
	if (frame->header.id != question->id)
		return -EPROTO;

	return question->n_frames_left > 0 ? request_take_rows(conn, frame)
					   : request_take_first(conn, frame);
}

void request_deadline(struct conn *conn)
{
	struct question *question = &conn->question;

	if (question->state != QUESTION_SENT)
		return;

	/* The hook may be at work still: nothing new until it has answered. */
	question->state = QUESTION_LATE;
	free(take_collected(conn));
	question->done(conn, REQUEST_TIMED_OUT, NULL, question->userdata);
}

void request_gone(struct conn *conn)
{
	struct question *question = &conn->question;

	free(take_collected(conn));
	if (question->state == QUESTION_SENT)
		request_end(conn, REQUEST_GONE, NULL);
}

static int request_check(struct conn *conn)
{
	int r;

	r = conn_check(conn);
	if (r < 0)
		return r;

	return request_busy(conn) ? -EBUSY : 0;
}

static void request_init(struct conn *conn, struct wire_frame *frame, enum wire_verb verb)
{
	wire_init(frame, WIRE_TO_HOOK, verb, conn->question.id + 1, WIRE_OK);
}

static int request_send(struct conn *conn, const struct wire_frame *frame,
			struct question question, uint64_t timeout_usec)
{
	struct question *slot = &conn->question;
	int r;

	assert(question.done);

	r = conn_send(conn, frame);
	if (r < 0)
		return r;

	conn_arm(conn, timeout_usec);

	question.state = QUESTION_SENT;
	question.verb = frame->header.verb;
	question.id = (uint32_t)frame->header.id;
	question.n_late = slot->n_late;
	*slot = question;
	return 0;
}

int request_stats(struct conn *conn, uint32_t wire_stats_flags, uint64_t timeout_usec,
		  request_done_t done, void *userdata)
{
	const bool wants_rows = wire_stats_flags & WIRE_STATS_ARENAS;
	struct question question = {
		.done = done,
		.userdata = userdata,
		.wants_rows = wants_rows,
	};
	struct collected *collected = NULL;
	struct wire_frame frame;
	int r;

	r = request_check(conn);
	if (r < 0)
		return r;

	if (wants_rows) {
		/* Pages that no row reaches are never touched. */
		collected = malloc(sizeof(*collected));
		if (!collected)
			return -ENOMEM;
		collected->conn = conn;
		collected->n_rows = 0;
	}

	request_init(conn, &frame, WIRE_STATS);
	frame.stats_request.flags = wire_stats_flags;
	r = request_send(conn, &frame, question, timeout_usec);
	if (r < 0)
		free(collected);
	else if (collected)
		LIST_INSERT_HEAD(&all_collected, collected, list);
	return r;
}

static void request_init_reclaim(struct conn *conn, struct wire_frame *frame,
				 const struct reclaim *reclaim)
{
	request_init(conn, frame, WIRE_RECLAIM);
	frame->reclaim_request = (struct wire_reclaim_request){
		.method = reclaim->method,
		.allocators = reclaim->allocators,
		.limit_bytes = reclaim->limit_bytes,
		.limit_usec = (uint32_t)MIN(reclaim->limit_usec, (uint64_t)UINT32_MAX),
	};
}

int request_reclaim(struct conn *conn, const struct reclaim *reclaim, uint64_t timeout_usec,
		    request_done_t done, void *userdata)
{
	struct wire_frame frame;
	int r;

	r = request_check(conn);
	if (r < 0)
		return r;

	request_init_reclaim(conn, &frame, reclaim);
	return request_send(conn, &frame,
			    (struct question){ .done = done, .userdata = userdata },
			    timeout_usec);
}

int request_overtake(struct conn *conn, const struct reclaim *reclaim, uint64_t timeout_usec)
{
	struct question question = conn->question;
	struct wire_frame frame;
	int r;

	r = conn_check(conn);
	if (r < 0)
		return r;
	if (question.state != QUESTION_SENT || question.verb != WIRE_RECLAIM || question.overtaken)
		return -EBUSY;

	request_init_reclaim(conn, &frame, reclaim);
	question.overtaken = true;
	return request_send(conn, &frame, question, timeout_usec);
}

int request_tune(struct conn *conn, enum wire_knob knob, uint64_t value,
		 uint64_t timeout_usec, request_done_t done, void *userdata)
{
	struct question question = { .done = done, .userdata = userdata };
	struct wire_frame frame;
	int r;

	r = request_check(conn);
	if (r < 0)
		return r;

	question.knob = (uint8_t)knob;
	request_init(conn, &frame, WIRE_TUNE);
	frame.tune_request.knob = knob;
	frame.tune_request.value = value;
	return request_send(conn, &frame, question, timeout_usec);
}

bool request_busy(const struct conn *conn)
{
	return conn->question.state != QUESTION_NONE;
}

bool request_awaited(const struct conn *conn)
{
	return conn->question.state == QUESTION_SENT;
}
