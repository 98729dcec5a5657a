/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/inquiry.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/basic/log.h"
#include "agent/core/command.h"
#include "agent/core/peer.h"
#include "agent/core/silence.h"
#include "agent/hook/request.h"
#include "agent/policy/estimate.h"

/* Until another question's end, and for the answer, all in all. */
#define INQUIRY_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* Figures come within milliseconds. */
#define INQUIRY_RETRY_USEC (10 * USEC_PER_MSEC)

struct inquiry {
	LIST_ENTRY(inquiry) in_manager; /* while it waits for another question's end */
	struct peer *peer;
	struct command *command;
	uint64_t until_usec;
	enum silence silence; /* why there is no answer */
};

static void tell_fresh(const struct inquiry *inquiry, int error, const struct request_answer *answer)
{
	static struct forecast forecasts[1024];
	const struct peer *peer = inquiry->peer;
	const size_t n = answer ? answer->n_rows : 0;
	const struct fresh fresh = {
		.group = &peer->guard->group,
		.member = &peer->member,
		.error = error,
		.silence = inquiry->silence,
		.rows = answer ? answer->rows : NULL,
		.n_rows = n,
		.forecasts = n <= ARRAY_SIZE(forecasts) ? forecasts : NULL,
	};

	for (size_t i = 0; i < MIN(n, ARRAY_SIZE(forecasts)); i++)
		estimate_arena(&peer->member, &answer->rows[i], &forecasts[i]);

	(void)bus_reply_fresh(inquiry->command->reply, &fresh);
}

static void tell_tuned(const struct inquiry *inquiry, int error, const struct request_answer *answer)
{
	const struct wire_tune_reply *reply = answer ? &answer->frame->tune_reply : NULL;
	const struct tuned tuned = {
		.member = &inquiry->peer->member,
		.error = error,
		.silence = inquiry->silence,
		.status = answer ? answer->frame->header.status : 0,
		.knob = inquiry->command->knob,
		.value = reply ? reply->value : 0,
		.effect = reply ? (enum wire_effect)reply->effect : WIRE_EFFECT_SET,
	};

	(void)bus_reply_tuned(inquiry->command->reply, &tuned);
}

static void tell(const struct inquiry *inquiry, int error, const struct request_answer *answer)
{
	if (inquiry->command->knob == 0)
		tell_fresh(inquiry, error, answer);
	else
		tell_tuned(inquiry, error, answer);
	command_close(inquiry->command);
}

static void inquiry_end(struct inquiry *inquiry, int error, const struct request_answer *answer)
{
	tell(inquiry, error, answer);
	free(inquiry);
}

static int error_of(enum request_end end)
{
	switch (end) {
	case REQUEST_ANSWERED:
		return 0;
	case REQUEST_TIMED_OUT:
		return -ETIMEDOUT;
	case REQUEST_GONE:
		return -ESRCH;
	case REQUEST_OVERTAKEN:
		break; /* a RECLAIM alone can be */
	}

	return -EINVAL;
}

/* What keeps it from answering, beside its work. */
static enum silence find_hold(struct peer *peer)
{
	const enum silence silence = silence_find(peer, true);

	return silence == SILENCE_WORKING ? SILENCE_NONE : silence;
}

static void on_end(struct conn *conn, enum request_end end, const struct request_answer *answer,
		   void *userdata)
{
	struct inquiry *inquiry = userdata;
	struct peer *peer = inquiry->peer;

	(void)conn;
	if (end == REQUEST_TIMED_OUT) {
		inquiry->silence = find_hold(peer);
		if (inquiry->command->knob == 0)
			member_note_failure(&peer->member, false);
	} else if (answer && answer->frame->header.status == WIRE_OK) {
		if (inquiry->command->knob == 0)
			peer_take_stats(peer, &answer->frame->stats);
		else
			member_note_tuned(&peer->member, &answer->frame->tune_reply);
	}

	inquiry_end(inquiry, error_of(end), answer);
}

/* -EBUSY: it is at another question, or is held, as inquiry->silence says. */
static int send(struct inquiry *inquiry, uint64_t now_usec)
{
	const struct command *command = inquiry->command;
	const uint64_t left_usec = MAX(sub_sat(inquiry->until_usec, now_usec), USEC_PER_MSEC);
	struct peer *peer = inquiry->peer;
	int r;

	r = peer_check_agent(peer);
	if (r < 0)
		return r;

	inquiry->silence = find_hold(peer);
	if (inquiry->silence != SILENCE_NONE)
		return -EBUSY;

	if (command->knob != 0)
		return request_tune(peer->conn, command->knob, command->value, left_usec, on_end,
				    inquiry);

	return request_stats(peer->conn, WIRE_STATS_HEAP | WIRE_STATS_ARENAS | WIRE_STATS_RSS,
			     left_usec, on_end, inquiry);
}

static void wait_a_little(struct manager *manager, uint64_t now_usec)
{
	(void)sd_event_source_set_time(manager->inquiry_source, now_usec + INQUIRY_RETRY_USEC);
	(void)sd_event_source_set_enabled(manager->inquiry_source, SD_EVENT_ONESHOT);
}

void inquiry_begin(struct peer *peer, struct command *command)
{
	struct manager *manager = peer->guard->manager;
	const uint64_t now_usec = manager_now(manager);
	const struct inquiry begun = {
		.peer = peer, .command = command, .until_usec = now_usec + INQUIRY_TIMEOUT_USEC,
	};
	struct inquiry *inquiry;
	int r;

	command->n_open++;
	inquiry = malloc(sizeof(*inquiry));
	if (!inquiry) {
		tell(&begun, -ENOMEM, NULL);
		return;
	}

	*inquiry = begun;
	r = send(inquiry, now_usec);
	if (r == -EBUSY && inquiry->silence == SILENCE_NONE) {
		log_debug("Process %d is at another question: asking it when that has ended",
			  (int)peer->member.process.pid);
		LIST_INSERT_HEAD(&manager->inquiries, inquiry, in_manager);
		wait_a_little(manager, now_usec);
	} else if (r < 0) {
		inquiry_end(inquiry, r, NULL);
	}
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *manager = userdata;
	const uint64_t now_usec = manager_now(manager);
	struct inquiry *inquiry, *next;

	(void)source;
	(void)usec;
	for (inquiry = LIST_FIRST(&manager->inquiries); inquiry; inquiry = next) {
		int r;

		next = LIST_NEXT(inquiry, in_manager);
		/* To look at a process takes some files: not of a thousand each time. */
		if (request_busy(inquiry->peer->conn) && now_usec < inquiry->until_usec)
			continue;

		r = send(inquiry, now_usec);
		if (r == -EBUSY && inquiry->silence == SILENCE_NONE && now_usec < inquiry->until_usec)
			continue;

		LIST_REMOVE(inquiry, in_manager);
		if (r < 0)
			inquiry_end(inquiry, r, NULL);
	}

	if (LIST_FIRST(&manager->inquiries))
		wait_a_little(manager, now_usec);
	return 0;
}

void inquiry_forget(struct peer *peer)
{
	struct manager *manager = peer->guard->manager;
	struct inquiry *inquiry, *next;

	for (inquiry = LIST_FIRST(&manager->inquiries); inquiry; inquiry = next) {
		next = LIST_NEXT(inquiry, in_manager);
		if (inquiry->peer != peer)
			continue;

		LIST_REMOVE(inquiry, in_manager);
		inquiry_end(inquiry, -ESRCH, NULL);
	}
}

int inquiry_prepare(struct manager *manager)
{
	int r;

	r = sd_event_add_time(manager->event, &manager->inquiry_source, CLOCK_MONOTONIC, 0, 1, on_retry,
			      manager);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(manager->inquiry_source, "inquiries");
	return sd_event_source_set_enabled(manager->inquiry_source, SD_EVENT_OFF);
}
