/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a fake hook answers, rightly and wrongly, soon, late or never. */

#include "tests/shim/fake-hook.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* What a good hook says is in use beside what it can give back. */
#define LIVE_BYTES MIB

static uint64_t own_rss(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int answer_rows(struct fake *fake, uint64_t id, uint32_t n_rows)
{
	int r = 0;

	for (uint32_t first = 0; first < n_rows && r == 0; first += WIRE_ROWS) {
		const uint32_t left = n_rows - first;
		struct wire_frame frame;

		wire_init(&frame, WIRE_TO_DAEMON, WIRE_ARENA, id, WIRE_OK);
		frame.arenas.first = first;
		frame.arenas.n_rows = left < WIRE_ROWS ? left : WIRE_ROWS;
		for (uint32_t i = 0; i < frame.arenas.n_rows; i++)
			frame.arenas.rows[i].nr = first + i;
		r = fake_send_frame(fake, &frame);
	}

	return r;
}

static void fill_stats(const struct fake *fake, struct wire_stats *stats)
{
	const uint64_t retained = fake->retained_bytes;

	stats->rss = own_rss();
	if (stats->flags & WIRE_STATS_RSS)
		stats->heap_rss = retained + LIVE_BYTES;
	if (!(stats->flags & WIRE_STATS_HEAP))
		return;

	stats->system = retained + LIVE_BYTES;
	stats->in_use = LIVE_BYTES;
	stats->free = stats->whole_pages = stats->largest_pages = retained;
	stats->n_arenas = stats->n_anchored = 1;
	stats->n_free = stats->n_page_free = stats->largest_n_page_free =
		stats->largest_n_free =
		(uint32_t)(retained / MIB);
}

static int answer_stats(struct fake *fake, const struct wire_frame *question,
			uint32_t n_rows)
{
	struct wire_frame frame;
	uint32_t flags = question->stats_request.flags;

	if (flags & WIRE_STATS_ARENAS)
		flags |= WIRE_STATS_HEAP;
	else
		n_rows = 0;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_OK);
	frame.stats.flags = flags;
	frame.stats.n_arena_frames = (n_rows + WIRE_ROWS - 1) / WIRE_ROWS;
	fill_stats(fake, &frame.stats);
	if (fake_send_frame(fake, &frame) != 0)
		return 1;

	return answer_rows(fake, question->header.id, n_rows);
}

static int answer_reclaim(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question->header.id, WIRE_OK);
	frame.reclaim_reply.method = question->reclaim_request.method;
	frame.reclaim_reply.allocators = WIRE_ALLOCATOR_GLIBC;
	frame.reclaim_reply.n_arenas = frame.reclaim_reply.n_reached = 1;
	frame.reclaim_reply.stall_usec = 700;
	frame.reclaim_reply.rss_before = own_rss();
	if (fake->memory)
		(void)madvise(fake->memory, fake->memory_bytes, MADV_DONTNEED);
	fake->retained_bytes = 0;
	frame.reclaim_reply.rss_after = own_rss();
	frame.reclaim_reply.duration_usec = 1000;
	return fake_send_frame(fake, &frame);
}

/* At work, for all that the daemon can see, until it sends something else. */
static void work(const struct fake *fake)
{
	struct pollfd pollfd = { .fd = fake->fd, .events = POLLIN };

	while (poll(&pollfd, 1, 0) == 0)
		;
	fake_say("interrupted");
}

static bool is_borrowing(const struct wire_frame *question)
{
	return question->header.verb == WIRE_RECLAIM &&
	       question->reclaim_request.method == WIRE_METHOD_BORROW;
}

static int answer_tune(struct fake *fake, const struct wire_frame *question, enum wire_status status)
{
	const struct wire_tune_request *request = &question->tune_request;
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_TUNE, question->header.id, status);
	frame.tune_reply.knob = request->knob;
	frame.tune_reply.value =
		wire_clamp((enum wire_knob)request->knob, request->value);
	return fake_send_frame(fake, &frame);
}

static int answer(struct fake *fake, const struct wire_frame *question, uint32_t n_rows)
{
	switch ((enum wire_verb)question->header.verb) {
	case WIRE_STATS:
		return answer_stats(fake, question, n_rows);
	case WIRE_RECLAIM:
		return answer_reclaim(fake, question);
	case WIRE_TUNE:
		return answer_tune(fake, question, WIRE_OK);
	case WIRE_HELLO:
	case WIRE_ARENA:
	case WIRE_BYE:
		break;
	}

	return -1;
}

int answer_well(struct fake *fake, const struct wire_frame *question)
{
	return answer(fake, question, 1);
}

int answer_with_rows(struct fake *fake, const struct wire_frame *question)
{
	return answer(fake, question, (uint32_t)fake->n);
}

int answer_slowly(struct fake *fake, const struct wire_frame *question)
{
	const struct timespec delay = {
		.tv_sec = (time_t)(fake->n / 1000),
		.tv_nsec = (long)(fake->n % 1000) * 1000000,
	};

	nanosleep(&delay, NULL);
	return answer_well(fake, question);
}

/* Stopped in the middle of a release, for all that the daemon can see. */
int answer_but_reclaim(struct fake *fake, const struct wire_frame *question)
{
	return question->header.verb == WIRE_RECLAIM ? 0 : answer_well(fake, question);
}

int answer_never(struct fake *fake, const struct wire_frame *question)
{
	(void)fake;
	(void)question;
	return 0;
}

/* Valid frames, impossible figures. */
int answer_lying(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, (enum wire_verb)question->header.verb,
		  question->header.id, WIRE_OK);
	memset(frame.bytes, 0xff, frame.header.length);
	switch ((enum wire_verb)question->header.verb) {
	case WIRE_STATS:
		frame.stats.flags = question->stats_request.flags;
		frame.stats.n_arena_frames = 0;
		break;
	case WIRE_RECLAIM:
		frame.reclaim_reply.method = WIRE_METHOD_FULL;
		frame.reclaim_reply.allocators = WIRE_ALLOCATOR_OTHER;
		frame.reclaim_reply.rss_after = 0;
		break;
	case WIRE_TUNE:
		frame.tune_reply.knob = question->tune_request.knob;
		frame.tune_reply.effect = WIRE_EFFECT_SET;
		break;
	case WIRE_HELLO:
	case WIRE_ARENA:
	case WIRE_BYE:
		return -1;
	}

	return fake_send_frame(fake, &frame);
}

int answer_when_told(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	if (question->header.verb != WIRE_STATS || fake_is_told)
		return answer_well(fake, question);

	fake_say("not measured");
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_FAILED);
	return fake_send_frame(fake, &frame);
}

/* At a release until then. */
int answer_reclaim_when_told(struct fake *fake, const struct wire_frame *question)
{
	while (question->header.verb == WIRE_RECLAIM && !fake_is_told)
		;
	return answer_well(fake, question);
}

/* Knows full trims only, as hooks before borrowing do. */
int answer_but_tune(struct fake *fake, const struct wire_frame *question)
{
	return question->header.verb == WIRE_TUNE ? answer_tune(fake, question, WIRE_FAILED)
						  : answer_well(fake, question);
}

int answer_full_only(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	if (question->header.verb != WIRE_RECLAIM ||
	    question->reclaim_request.method == WIRE_METHOD_FULL)
		return answer_well(fake, question);

	fake_say("cannot borrow");
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question->header.id, WIRE_UNSUPPORTED);
	return fake_send_frame(fake, &frame);
}

/* Knows nothing of questions that overtake: when it is done it is done. */
int answer_as_of_old(struct fake *fake, const struct wire_frame *question)
{
	if (is_borrowing(question))
		work(fake);

	return answer_well(fake, question);
}

/* Answers the second one first, and the first one never. */
int answer_the_last(struct fake *fake, const struct wire_frame *question)
{
	if (!is_borrowing(question))
		return answer_well(fake, question);

	work(fake);
	return 0;
}

int answer_no_more(struct fake *fake, const struct wire_frame *question)
{
	if (!is_borrowing(question))
		return answer_well(fake, question);

	work(fake);
	for (struct pollfd pollfd = { .fd = fake->fd, .events = POLLRDHUP }; poll(&pollfd, 1, 0) == 0;)
		;
	fake_say("closed");
	return 1;
}

int answer_refusing(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, (enum wire_verb)question->header.verb,
		  question->header.id, WIRE_REFUSED);
	return fake_send_frame(fake, &frame);
}

int answer_another(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame other = *question;

	other.header.id++;
	return answer(fake, &other, 0);
}

/* A STATS answer that announces one ARENA frame, whatever was asked. */
int answer_more_rows(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_OK);
	frame.stats.n_arena_frames = 1;
	if (fake_send_frame(fake, &frame) != 0)
		return 1;

	return answer_rows(fake, question->header.id, 2 * WIRE_ROWS);
}

int answer_garbage(struct fake *fake, const struct wire_frame *question)
{
	(void)question;
	return fake_send_garbage(fake);
}

int answer_half(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_OK);
	return fake_send(fake, &frame, sizeof(frame) / 2);
}

static bool is_for_rows(const struct wire_frame *question)
{
	return question->header.verb == WIRE_STATS &&
	       (question->stats_request.flags & WIRE_STATS_ARENAS);
}

int answer_but_rows(struct fake *fake, const struct wire_frame *question)
{
	return is_for_rows(question) ? answer_by_vanishing(fake, question)
				     : answer_well(fake, question);
}

int answer_by_vanishing(struct fake *fake, const struct wire_frame *question)
{
	(void)fake;
	(void)question;
	fake_say("vanished");
	return 1;
}
