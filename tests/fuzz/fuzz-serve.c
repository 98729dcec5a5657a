/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The hook's side: whatever it is asked, and whatever its allocator has to say, each
 * question that passes wire_check() has exactly its answer, in valid frames, and does
 * nothing but what it asks for.
 *
 * Three bytes first: what the program is (see host_init()), how many frames can be sent
 * before the daemon is gone (255: all), and what borrowing reports. Then one letter for
 * each step, with its operands: S statistics (1: flags), R reclaim (2: method, allocators),
 * T tune (9: knob, value), B BYE, i what malloc_info() says from now on (1: length / 16,
 * then the text), x raw bytes up to a frame.
 *
 * What must not run in here is replaced by the linker (--wrap).
 */

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libhook/borrow.h"
#include "libhook/heap.h"
#include "libhook/huge.h"
#include "libhook/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *fuzz_unreached(void);
int __wrap_malloc_trim(size_t pad);
int __wrap_mallopt(int param, int value);
int __wrap_malloc_info(int options, FILE *stream);
bool __wrap_borrow_release(const struct borrow_order *order, struct wire_reclaim_reply *reply);
bool __wrap_proc_heap_rss(uint64_t *ret, uint64_t *ret_huge, uint64_t *ret_hollow, uint64_t *ret_swap);
void __wrap_huge_split(uint64_t page_bytes, uint64_t until_usec, bool (*go_on)(void *), void *arg);

static struct {
	struct host host;
	unsigned int n_sends_left;
	uint8_t borrowed;
	const uint8_t *info;
	size_t info_size;

	/* Of the question at hand. */
	const struct wire_frame *question;
	unsigned int n_frames, n_trims, n_tunes, n_borrows;
	uint32_t n_rows_due, n_rows;
	bool gone;
} stage;

/* What any input has led to. */
static struct {
	bool rows, trim, borrow, tune, bye, refusal, gone;
} seen;

static void promise(bool kept)
{
	if (!kept)
		abort();
}

int __wrap_malloc_trim(size_t pad)
{
	promise(pad == 0);
	stage.n_trims++;
	seen.trim = true;
	return 1;
}

int __wrap_mallopt(int param, int value)
{
	(void)param;
	promise(value >= 0);
	stage.n_tunes++;
	seen.tune = true;
	return stage.borrowed & 1;
}

int __wrap_malloc_info(int options, FILE *stream)
{
	promise(options == 0);
	fwrite(stage.info, 1, stage.info_size, stream);
	return 0;
}

/* Under a sanitizer there are very many mappings. */
bool __wrap_proc_heap_rss(uint64_t *ret, uint64_t *ret_huge, uint64_t *ret_hollow, uint64_t *ret_swap)
{
	*ret_huge = *ret_hollow = *ret_swap = stage.borrowed;
	*ret = stage.info_size;
	return stage.borrowed != 254;
}

bool __wrap_borrow_release(const struct borrow_order *order, struct wire_reclaim_reply *reply)
{
	stage.n_borrows++;
	seen.borrow = true;
	(void)order->go_on(order->arg);
	(void)order->asked(order->arg);
	reply->end = stage.borrowed & 3;
	reply->n_reached = stage.borrowed >> 2;
	reply->n_arenas = stage.borrowed >> 1;
	reply->dropped = order->limit_bytes;
	return stage.borrowed != 255;
}

/* After a release of glibc's, and only then. */
void __wrap_huge_split(uint64_t page_bytes, uint64_t until_usec, bool (*go_on)(void *), void *arg)
{
	(void)page_bytes;
	(void)until_usec;
	promise(stage.n_trims + stage.n_borrows > 0);
	(void)go_on(arg);
}

static void check_answer(const struct wire_frame *frame)
{
	const struct wire_header *asked = &stage.question->header;

	promise(wire_check(frame, sizeof(*frame), WIRE_TO_DAEMON) == 0);
	promise(frame->header.id == asked->id);
	seen.refusal = seen.refusal || frame->header.status != WIRE_OK;
	if (stage.n_frames == 0) {
		promise(frame->header.verb == asked->verb);
		if (asked->verb == WIRE_STATS)
			stage.n_rows_due = frame->stats.n_arena_frames;
		return;
	}

	promise(frame->header.verb == WIRE_ARENA && asked->verb == WIRE_STATS);
	promise((stage.question->stats_request.flags & WIRE_STATS_ARENAS) != 0);
	promise(frame->arenas.first == stage.n_rows);
	stage.n_rows += frame->arenas.n_rows;
	seen.rows = true;
}

static int on_send(const struct wire_frame *frame, void *arg)
{
	promise(arg == &stage && !stage.gone);
	check_answer(frame);
	stage.n_frames++;
	if (stage.n_sends_left == 0) {
		stage.gone = seen.gone = true;
		return -32;
	}
	if (stage.n_sends_left != 255)
		stage.n_sends_left--;
	return 0;
}

static bool on_go_on(void *arg)
{
	promise(arg == &stage);
	return !stage.gone;
}

static bool on_asked(void *arg)
{
	promise(arg == &stage);
	return (stage.borrowed & 64) != 0;
}

static bool is_glibc(void)
{
	return stage.host.allocators.owner == WIRE_ALLOCATOR_GLIBC;
}

static void check_reclaim(void)
{
	const struct wire_reclaim_request *request = &stage.question->reclaim_request;
	const bool full = request->method == WIRE_METHOD_FULL;

	promise(stage.n_trims <= (full && is_glibc()));
	promise(stage.n_borrows <= (!full && is_glibc()));
}

static void check_tune(void)
{
	const uint32_t bit = 1U << stage.question->tune_request.knob;

	promise(stage.n_tunes == 0 || (is_glibc() && !(stage.host.environment.env_tuned & bit)));
}

/* False when the connection is over. */
static bool ask(const struct wire_frame *question, size_t size)
{
	const struct serve_peer peer = {
		.send = on_send,
		.go_on = on_go_on,
		.asked = on_asked,
		.may_call = on_go_on,
		.arg = &stage,
	};
	int r;

	if (wire_check(question, size, WIRE_TO_HOOK) < 0)
		return false;

	stage.question = question;
	stage.n_frames = stage.n_trims = stage.n_tunes = stage.n_borrows = 0;
	stage.n_rows = stage.n_rows_due = 0;
	r = serve_question(&stage.host, question, &peer);
	if (question->header.verb == WIRE_BYE) {
		promise(r == 1 && stage.n_frames == 0);
		seen.bye = true;
		return false;
	}

	promise((r < 0) == stage.gone);
	promise(r != 0 || stage.n_frames == 1 + stage.n_rows_due);
	if (question->header.verb == WIRE_RECLAIM)
		check_reclaim();
	else
		promise(stage.n_trims == 0 && stage.n_borrows == 0);
	if (question->header.verb == WIRE_TUNE)
		check_tune();
	else
		promise(stage.n_tunes == 0);
	return r == 0;
}

/* Bits 0 to 2: whose malloc it is. The others: what the operator has set himself. */
static void host_init(uint8_t what)
{
	stage.host = (struct host){ .page_bytes = 4096 };
	stage.host.allocators.owner = 1U << ((what & 7) < 6 ? what & 7 : 0);
	stage.host.allocators.present = stage.host.allocators.owner | WIRE_ALLOCATOR_GLIBC;
	stage.host.environment.env_tuned = (what >> 3) << 1;
}

/* Operand @i of the step at @data; 0 beyond the input's end. */
static uint8_t operand(const uint8_t *data, size_t size, size_t i)
{
	return i + 1 < size ? data[i + 1] : 0;
}

static size_t fill_question(struct wire_frame *frame, const uint8_t *data, size_t size)
{
	switch (data[0]) {
	case 'S':
		wire_init(frame, WIRE_TO_HOOK, WIRE_STATS, size, WIRE_OK);
		frame->stats_request.flags = operand(data, size, 0);
		return 2;
	case 'R':
		wire_init(frame, WIRE_TO_HOOK, WIRE_RECLAIM, size, WIRE_OK);
		frame->reclaim_request.method = operand(data, size, 0);
		frame->reclaim_request.allocators = operand(data, size, 1);
		frame->reclaim_request.limit_bytes = size;
		return 3;
	case 'T':
		wire_init(frame, WIRE_TO_HOOK, WIRE_TUNE, size, WIRE_OK);
		frame->tune_request.knob = operand(data, size, 0);
		for (size_t i = 0; i < 8; i++)
			frame->tune_request.value |= (uint64_t)operand(data, size, 1 + i) << (8 * i);
		return 10;
	case 'B':
		wire_init(frame, WIRE_TO_HOOK, WIRE_BYE, 0, WIRE_OK);
		return 1;
	}

	return 0;
}

/* Returns how many bytes of @data the step took; 0: the end. */
static size_t step(const uint8_t *data, size_t size)
{
	struct wire_frame frame;
	size_t n = fill_question(&frame, data, size);

	if (n > 0)
		return ask(&frame, sizeof(frame)) ? n : 0;

	if (data[0] == 'i') {
		n = 2 + (size_t)operand(data, size, 0) * 16;
		stage.info_size = n < size ? n - 2 : size > 2 ? size - 2 : 0;
		stage.info = data + (size > 2 ? 2 : 0);
		return n;
	}
	if (data[0] == 'x') {
		n = size - 1 < sizeof(frame) ? size - 1 : sizeof(frame);
		memcpy(&frame, data + 1, n);
		return ask(&frame, n) ? 1 + n : 0;
	}

	return 1;
}

const char *fuzz_unreached(void)
{
	return !seen.rows    ? "rows of arenas" :
	       !seen.trim    ? "malloc_trim()" :
	       !seen.borrow  ? "borrowing" :
	       !seen.tune    ? "mallopt()" :
	       !seen.bye     ? "BYE" :
	       !seen.refusal ? "a refusal" :
	       !seen.gone    ? "a daemon that is gone" :
			       NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_frame hello;
	size_t n = 3;

	if (size < 3 || !heap_prepare())
		return 0;

	host_init(data[0]);
	stage.n_sends_left = data[1];
	stage.borrowed = data[2];
	stage.info_size = 0;
	stage.gone = false;
	serve_hello(&stage.host, &hello);
	promise(wire_check(&hello, sizeof(hello), WIRE_TO_DAEMON) == 0);

	for (int i = 0; n < size && i < 100; i++) {
		const size_t taken = step(data + n, size - n);

		if (taken == 0)
			break;
		n += taken;
	}

	return 0;
}
