/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Any bytes, as if received: by the daemon from a hook, and by a hook from a daemon. What
 * wire_check() lets through has to be what its comment promises.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libhook/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *fuzz_unreached(void);

#define ALLOCATORS 0x3fU

/* Frames that passed, by direction and verb. */
static bool seen[2][WIRE_BYE + 1];

/* Not assert(): this must bite in every build. */
static void promise(bool kept)
{
	if (!kept)
		abort();
}

static bool is_one_of(uint32_t value, uint32_t first, uint32_t last)
{
	return value >= first && value <= last;
}

/* One bit each, and nothing behind the last. */
static void check_foreign(const struct wire_foreign foreign[static WIRE_FOREIGN])
{
	bool over = false;

	for (size_t i = 0; i < WIRE_FOREIGN; i++) {
		const uint32_t bit = foreign[i].allocator;

		promise(bit <= ALLOCATORS && (bit & (bit - 1)) == 0 && foreign[i].reserved == 0);
		over = over || bit == 0;
		promise(!over || (bit == 0 && foreign[i].in_use == 0 && foreign[i].retained == 0));
	}
}

static void check_to_daemon(const struct wire_frame *frame)
{
	const bool refused = frame->header.status != WIRE_OK;

	switch ((enum wire_verb)frame->header.verb) {
	case WIRE_HELLO:
		promise(memchr(frame->hello.hook_version, 0, 16) != NULL);
		promise(memchr(frame->hello.libc_version, 0, 16) != NULL);
		promise(frame->hello.page_bytes >= 4096);
		promise(frame->hello.tuned < 1U << WIRE_KNOB_MAX_);
		promise(frame->hello.env_tuned < 1U << WIRE_KNOB_MAX_);
		promise(!refused && frame->header.id == 0);
		return;
	case WIRE_STATS:
		promise(frame->stats.n_arena_frames <= 4096);
		check_foreign(frame->stats.foreign);
		return;
	case WIRE_ARENA:
		promise(is_one_of(frame->arenas.n_rows, 1, WIRE_ROWS));
		promise(!refused);
		return;
	case WIRE_RECLAIM:
		promise(refused || is_one_of(frame->reclaim_reply.method, WIRE_METHOD_FULL,
					     WIRE_METHOD_BORROW));
		promise(frame->reclaim_reply.allocators <= ALLOCATORS);
		promise(frame->reclaim_reply.end <= WIRE_END_ASKED);
		promise(frame->reclaim_reply.n_reached <= frame->reclaim_reply.n_arenas);
		return;
	case WIRE_TUNE:
		promise(refused ||
			is_one_of(frame->tune_reply.knob, 1, WIRE_KNOB_MAX_ - 1));
		promise(frame->tune_reply.effect <= WIRE_EFFECT_PAIRED);
		return;
	case WIRE_BYE:
		return;
	}

	abort();
}

static void check_to_hook(const struct wire_frame *frame)
{
	enum wire_knob knob;
	uint64_t value;

	promise(frame->header.status == WIRE_OK);
	switch ((enum wire_verb)frame->header.verb) {
	case WIRE_STATS:
		promise(frame->stats_request.flags <= 7);
		return;
	case WIRE_RECLAIM:
		promise(is_one_of(frame->reclaim_request.method, WIRE_METHOD_FULL,
				  WIRE_METHOD_BORROW));
		promise(frame->reclaim_request.allocators <= ALLOCATORS);
		return;
	case WIRE_TUNE:
		knob = (enum wire_knob)frame->tune_request.knob;
		promise(is_one_of(knob, 1, WIRE_KNOB_MAX_ - 1));
		value = wire_clamp(knob, frame->tune_request.value);
		promise(value <= INT32_MAX && wire_clamp(knob, value) == value);
		return;
	case WIRE_BYE:
		return;
	case WIRE_HELLO:
	case WIRE_ARENA:
		break;
	}

	abort();
}

/* What no field covers cannot differ. */
static void check_zero_tail(const struct wire_frame *frame)
{
	promise(frame->header.length <= sizeof(frame->bytes));
	for (size_t i = frame->header.length; i < sizeof(frame->bytes); i++)
		promise(frame->bytes[i] == 0);
}

const char *fuzz_unreached(void)
{
	static const bool due[2][WIRE_BYE + 1] = {
		[WIRE_TO_DAEMON] = { false, true, true, true, true, true, true },
		[WIRE_TO_HOOK] = { false, false, true, false, true, true, true },
	};
	static char what[64];

	for (int direction = 0; direction < 2; direction++)
		for (int verb = WIRE_HELLO; verb <= WIRE_BYE; verb++)
			if (due[direction][verb] && !seen[direction][verb]) {
				snprintf(what, sizeof(what), "verb %d to the %s", verb,
					 direction == WIRE_TO_HOOK ? "hook" : "daemon");
				return what;
			}

	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of the exact size: reading beyond it is found. */
	struct wire_frame *frame = malloc(size > 0 ? size : 1);

	if (!frame)
		return 0;
	memcpy(frame, data, size);

	if (wire_check(frame, size, WIRE_TO_DAEMON) == 0) {
		promise(size == WIRE_FRAME_BYTES);
		check_zero_tail(frame);
		check_to_daemon(frame);
		seen[WIRE_TO_DAEMON][frame->header.verb] = true;
	}
	if (wire_check(frame, size, WIRE_TO_HOOK) == 0) {
		promise(size == WIRE_FRAME_BYTES);
		check_zero_tail(frame);
		check_to_hook(frame);
		seen[WIRE_TO_HOOK][frame->header.verb] = true;
	}

	free(frame);
	return 0;
}
