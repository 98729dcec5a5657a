/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A connection between a daemon that asks and a hook that sends what it likes, both in
 * the order the input says. Every question that was taken has to end exactly once, and
 * every connection too.
 *
 * One letter for each step. The daemon's: S statistics, A with arenas, R reclaim, O the
 * same by borrowing, U a full one that overtakes, T tune,
 * D the deadline strikes, F frees, N frees from the next callback. The hook's: h HELLO,
 * s STATS, a ARENA, r RECLAIM, t TUNE, b BYE, each followed by one byte that makes it
 * differ (0: as it should be), o RECLAIM as the answer to the question before, x raw bytes up
 * to a frame, c closes.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/hook/conn-internal.h"

#define NEVER_USEC UINT64_C(3600000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *fuzz_unreached(void);

/* Answers that were taken, by verb; HELLO and ARENA stand for themselves. */
static bool seen[WIRE_BYE + 1];

static bool seen_overtaken;

struct stage {
	sd_event *event;
	struct conn_handler handler;
	struct conn *conn;
	int peer;
	bool free_next;
	unsigned int n_overtaken; /* answers that may come before the last one's */
	unsigned int n_asked, n_done, n_hello, n_over, n_deadlines;
	uint64_t id;     /* of the last question */
	uint32_t n_rows; /* sent for it */
};

static void promise(bool kept)
{
	if (!kept)
		abort();
}

static void maybe_free(struct stage *stage)
{
	if (stage->free_next)
		stage->conn = conn_free(stage->conn);
}

static void on_done(struct conn *conn, enum request_end end,
		    const struct request_answer *answer, void *userdata)
{
	struct stage *stage = userdata;

	(void)conn;
	promise((end == REQUEST_ANSWERED || end == REQUEST_OVERTAKEN) == (answer != NULL));
	if (answer) {
		promise(wire_check(answer->frame, sizeof(*answer->frame),
				   WIRE_TO_DAEMON) == 0);
		promise(answer->n_rows <= 1024 && (answer->rows || answer->n_rows == 0));
		seen[answer->frame->header.verb] = true;
		seen[WIRE_ARENA] = seen[WIRE_ARENA] || answer->n_rows > 0;
	}
	if (end == REQUEST_OVERTAKEN) {
		promise(stage->n_overtaken-- > 0);
		seen_overtaken = true;
	} else {
		stage->n_done++;
	}
	maybe_free(stage);
}

static int on_hello(struct conn *conn, const struct wire_hello *hello, void *userdata)
{
	struct stage *stage = userdata;

	(void)conn;
	stage->n_hello++;
	seen[WIRE_HELLO] = true;
	maybe_free(stage);
	return hello->agent_tid == 13 ? -1 : 0;
}

static void on_over(struct conn *conn, enum conn_end end, void *userdata)
{
	struct stage *stage = userdata;

	(void)conn;
	promise(conn_end_to_string(end) != NULL);
	promise(stage->n_done == stage->n_asked);
	stage->n_over++;
	maybe_free(stage);
	stage->conn = NULL;
}

static void settle(struct stage *stage)
{
	for (int i = 0; sd_event_run(stage->event, 0) > 0; i++)
		promise(i < 10000);
}

static void ask(struct stage *stage, char what)
{
	int r = -1;

	if (!stage->conn)
		return;

	if (what == 'S')
		r = request_stats(stage->conn, WIRE_STATS_HEAP, NEVER_USEC, on_done,
				  stage);
	if (what == 'A')
		r = request_stats(stage->conn, WIRE_STATS_ARENAS, NEVER_USEC, on_done,
				  stage);
	if (what == 'R')
		r = request_reclaim(stage->conn, &(struct reclaim){ .method = WIRE_METHOD_FULL },
				    NEVER_USEC, on_done, stage);
	if (what == 'O')
		r = request_reclaim(stage->conn,
				    &(struct reclaim){ .method = WIRE_METHOD_BORROW },
				    NEVER_USEC, on_done, stage);
	if (what == 'T')
		r = request_tune(stage->conn, WIRE_KNOB_TOP_PAD, 0, NEVER_USEC, on_done,
				 stage);
	if (r < 0)
		return;

	promise(request_busy(stage->conn));
	stage->n_asked++;
	stage->id++;
	stage->n_rows = 0;
}

/* No question of its own: it ends with the one that it overtakes. */
static void overtake(struct stage *stage)
{
	if (!stage->conn ||
	    request_overtake(stage->conn, &(struct reclaim){ .method = WIRE_METHOD_FULL },
			     NEVER_USEC) < 0)
		return;

	promise(request_busy(stage->conn));
	stage->n_overtaken++;
	stage->id++;
}

static void send_bytes(struct stage *stage, const void *bytes, size_t size)
{
	(void)!send(stage->peer, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	settle(stage);
}

/* A good frame for this moment, but for @oddity. */
static void send_frame(struct stage *stage, enum wire_verb verb, uint8_t oddity)
{
	const bool has_id = verb != WIRE_HELLO && verb != WIRE_BYE;
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, verb, has_id ? stage->id + (oddity >> 6) : 0,
		  has_id && verb != WIRE_ARENA ? (oddity >> 4) & 3 : WIRE_OK);
	if (verb == WIRE_HELLO) {
		frame.hello.page_bytes = 4096;
		frame.hello.agent_tid = oddity;
	}
	if (verb == WIRE_STATS)
		frame.stats.n_arena_frames = oddity & 15;
	if (verb == WIRE_ARENA) {
		frame.arenas.first = stage->n_rows + (oddity & 1);
		frame.arenas.n_rows = WIRE_ROWS;
		stage->n_rows += WIRE_ROWS;
	}
	if (verb == WIRE_RECLAIM) {
		frame.reclaim_reply.method =
			oddity & 1 ? WIRE_METHOD_BORROW : WIRE_METHOD_FULL;
		frame.reclaim_reply.end = (oddity >> 1) & 7;
	}
	if (verb == WIRE_TUNE)
		frame.tune_reply.knob =
			oddity & 1 ? WIRE_KNOB_ARENA_MAX : WIRE_KNOB_TOP_PAD;

	send_bytes(stage, &frame, sizeof(frame));
}

static bool is_armed(const struct conn *conn)
{
	return conn->deadline_usec != 0;
}

static void deadline(struct stage *stage)
{
	/* Each takes a moment: a few will do. */
	if (!stage->conn || stage->conn->state == CONN_ENDING || stage->n_deadlines++ > 2)
		return;

	promise(sd_event_source_set_time_accuracy(stage->conn->loop->timer, 1) >= 0);
	conn_arm(stage->conn, 0);
	for (int i = 0; stage->conn && is_armed(stage->conn); i++) {
		promise(i < 1000);
		(void)sd_event_run(stage->event, 1000);
	}
}

/* Returns how many bytes of @data the step took. */
static size_t step(struct stage *stage, const uint8_t *data, size_t size)
{
	static const char verbs[] = "?hsartb";
	const char *verb = data[0] ? strchr(verbs + 1, data[0]) : NULL;
	size_t n = 1;

	if (verb) {
		send_frame(stage, (enum wire_verb)(verb - verbs), size > 1 ? data[1] : 0);
		return size > 1 ? 2 : 1;
	}

	switch (data[0]) {
	case 'S':
	case 'A':
	case 'R':
	case 'O':
	case 'T':
		ask(stage, (char)data[0]);
		break;
	case 'U':
		overtake(stage);
		break;
	case 'o':
		stage->id--;
		send_frame(stage, WIRE_RECLAIM, size > 1 ? data[1] : 0);
		stage->id++;
		return size > 1 ? 2 : 1;
	case 'D':
		deadline(stage);
		break;
	case 'F':
		stage->conn = conn_free(stage->conn);
		break;
	case 'N':
		stage->free_next = true;
		break;
	case 'x':
		n = size < WIRE_FRAME_BYTES + 2 ? size : WIRE_FRAME_BYTES + 1;
		send_bytes(stage, data + 1, n - 1);
		break;
	case 'c':
		(void)shutdown(stage->peer, SHUT_RDWR);
		settle(stage);
		break;
	}

	return n;
}

static bool stage_init(struct stage *stage)
{
	static sd_event *event;
	int fds[2];

	if (!event && sd_event_new(&event) < 0)
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return false;

	*stage = (struct stage){
		.event = event,
		.handler = {
			.on_hello = on_hello,
			.on_end = on_over,
			.on_stillborn = on_over,
			.userdata = stage,
		},
		.peer = fds[1],
	};
	if (conn_new(event, fds[0], 1, 1, &stage->handler, &stage->conn) < 0) {
		close(fds[0]);
		close(fds[1]);
		return false;
	}

	return true;
}

const char *fuzz_unreached(void)
{
	static const char *const names[] = {
		[WIRE_HELLO] = "HELLO",	    [WIRE_STATS] = "an answer to STATS",
		[WIRE_ARENA] = "arenas",    [WIRE_RECLAIM] = "an answer to RECLAIM",
		[WIRE_TUNE] = "an answer to TUNE",
	};

	for (int verb = WIRE_HELLO; verb <= WIRE_TUNE; verb++)
		if (!seen[verb])
			return names[verb];

	return seen_overtaken ? NULL : "an answer that was overtaken";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage stage;
	size_t n = 0;

	if (!stage_init(&stage))
		return 0;

	for (int i = 0; n < size && i < 200; i++)
		n += step(&stage, data + n, size - n);

	settle(&stage);
	conn_free(stage.conn);
	promise(stage.n_done == stage.n_asked);
	promise(stage.n_hello <= 1 && stage.n_over <= 1);
	close(stage.peer);
	settle(&stage);
	return 0;
}
