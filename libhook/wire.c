/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Makes frames, and refuses what is not one. Part of the hook too: no libc, no state. */

#include "libhook/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(struct wire_header) == 24, "header");
_Static_assert(sizeof(struct wire_hello) == 64, "hello");
_Static_assert(sizeof(struct wire_stats) == 264, "stats");
_Static_assert(sizeof(struct wire_arena) == 136, "arena");
_Static_assert(sizeof(struct wire_arenas) == 416, "arenas");
_Static_assert(sizeof(struct wire_foreign) == 24, "foreign");
_Static_assert(sizeof(struct wire_reclaim_request) == 24, "reclaim request");
_Static_assert(sizeof(struct wire_reclaim_reply) == 80, "reclaim reply");
_Static_assert(sizeof(struct wire_frame) == WIRE_FRAME_BYTES, "frame");

#define ARENA_FRAMES_MAX 4096
#define STATS_FLAGS (WIRE_STATS_HEAP | WIRE_STATS_ARENAS | WIRE_STATS_RSS)
#define HELLO_FLAGS (WIRE_HELLO_NAMED | WIRE_HELLO_ALWAYS | WIRE_HELLO_BAD_ENV)
#define ALLOCATORS                                                                  \
	(WIRE_ALLOCATOR_GLIBC | WIRE_ALLOCATOR_JEMALLOC | WIRE_ALLOCATOR_MIMALLOC | \
	 WIRE_ALLOCATOR_TCMALLOC | WIRE_ALLOCATOR_OTHER | WIRE_ALLOCATOR_GTCMALLOC)
#define KNOBS ((1U << WIRE_KNOB_MAX_) - 2)

/* Payload bytes by direction and verb; -1: not in this direction. */
static const int lengths[2][WIRE_BYE + 1] = {
	[WIRE_TO_DAEMON] = {
		[0] = -1,
		[WIRE_HELLO] = sizeof(struct wire_hello),
		[WIRE_STATS] = sizeof(struct wire_stats),
		[WIRE_ARENA] = sizeof(struct wire_arenas),
		[WIRE_RECLAIM] = sizeof(struct wire_reclaim_reply),
		[WIRE_TUNE] = sizeof(struct wire_tune_reply),
		[WIRE_BYE] = 0,
	},
	[WIRE_TO_HOOK] = {
		[0] = -1,
		[WIRE_HELLO] = -1,
		[WIRE_STATS] = sizeof(struct wire_stats_request),
		[WIRE_ARENA] = -1,
		[WIRE_RECLAIM] = sizeof(struct wire_reclaim_request),
		[WIRE_TUNE] = sizeof(struct wire_tune_request),
		[WIRE_BYE] = 0,
	},
};

void wire_init(struct wire_frame *frame, enum wire_direction direction,
	       enum wire_verb verb, uint64_t id, enum wire_status status)
{
	memset(frame, 0, sizeof(*frame));
	frame->header = (struct wire_header){
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.verb = (uint16_t)verb,
		.id = id,
		.status = (uint32_t)status,
		.length = (uint32_t)lengths[direction][verb],
	};
}

uint64_t wire_clamp(enum wire_knob knob, uint64_t value)
{
	static const struct {
		uint64_t low, high;
	} ranges[WIRE_KNOB_MAX_] = {
		[WIRE_KNOB_ARENA_MAX] = { 1, 4096 },
		[WIRE_KNOB_MMAP_THRESHOLD] = { UINT64_C(64) << 10, UINT64_C(1) << 30 },
		[WIRE_KNOB_TRIM_THRESHOLD] = { UINT64_C(64) << 10, UINT64_C(1) << 30 },
		[WIRE_KNOB_TOP_PAD] = { 0, UINT64_C(64) << 20 },
		[WIRE_KNOB_DECAY] = { 0, 3600 * 1000 },
	};

	if (knob < WIRE_KNOB_ARENA_MAX || knob >= WIRE_KNOB_MAX_)
		return 0;
	if (value < ranges[knob].low)
		return ranges[knob].low;

	return value > ranges[knob].high ? ranges[knob].high : value;
}

/* Printable ASCII up to a NUL, and nothing but NULs after it. */
static bool is_text(const char *s, size_t size)
{
	size_t i = 0;

	while (i < size && s[i] >= ' ' && s[i] <= '~')
		i++;
	if (i == size)
		return false;

	for (; i < size; i++)
		if (s[i] != '\0')
			return false;

	return true;
}

static bool is_page(uint32_t bytes)
{
	return bytes >= 4096 && bytes <= 1 << 20 && (bytes & (bytes - 1)) == 0;
}

static bool is_knob(uint32_t knob)
{
	return knob >= WIRE_KNOB_ARENA_MAX && knob < WIRE_KNOB_MAX_;
}

static bool is_allocators(uint32_t allocators)
{
	return (allocators & ~(uint32_t)ALLOCATORS) == 0;
}

static bool is_zero(const void *bytes, size_t size)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < size; i++)
		if (p[i] != 0)
			return false;

	return true;
}

static bool arenas_are_valid(const struct wire_arenas *arenas)
{
	const uint32_t n = arenas->n_rows;

	return n >= 1 && n <= WIRE_ROWS &&
	       is_zero(arenas->rows + n, (WIRE_ROWS - n) * sizeof(arenas->rows[0]));
}

static bool hello_is_valid(const struct wire_hello *hello)
{
	return (hello->flags & ~(uint32_t)HELLO_FLAGS) == 0 && is_allocators(hello->allocators) &&
	       (hello->malloc_owner & ~hello->allocators) == 0 &&
	       (hello->malloc_owner & (hello->malloc_owner - 1)) == 0 &&
	       is_page(hello->page_bytes) && (hello->tuned & ~KNOBS) == 0 &&
	       (hello->env_tuned & ~KNOBS) == 0 && hello->reserved == 0 &&
	       is_text(hello->hook_version, sizeof(hello->hook_version)) &&
	       is_text(hello->libc_version, sizeof(hello->libc_version));
}

static bool is_method(uint32_t method)
{
	return method == WIRE_METHOD_FULL || method == WIRE_METHOD_BORROW;
}

/* One bit each, no entry after the last. */
static bool foreign_are_valid(const struct wire_foreign foreign[static WIRE_FOREIGN])
{
	size_t n = 0;

	for (; n < WIRE_FOREIGN && foreign[n].allocator != 0; n++)
		if (!is_allocators(foreign[n].allocator) || foreign[n].reserved != 0 ||
		    (foreign[n].allocator & (foreign[n].allocator - 1)) != 0)
			return false;

	return is_zero(foreign + n, (WIRE_FOREIGN - n) * sizeof(foreign[0]));
}

static bool stats_are_valid(const struct wire_stats *stats)
{
	return (stats->flags & ~(uint32_t)STATS_FLAGS) == 0 &&
	       stats->n_arena_frames <= ARENA_FRAMES_MAX && foreign_are_valid(stats->foreign);
}

static bool reclaim_is_valid(const struct wire_reclaim_reply *reply)
{
	return is_method(reply->method) && is_allocators(reply->allocators) &&
	       reply->end <= WIRE_END_ASKED && reply->n_reached <= reply->n_arenas;
}

static bool to_daemon_is_valid(const struct wire_frame *frame)
{
	switch ((enum wire_verb)frame->header.verb) {
	case WIRE_HELLO:
		return hello_is_valid(&frame->hello);
	case WIRE_STATS:
		return stats_are_valid(&frame->stats);
	case WIRE_ARENA:
		return arenas_are_valid(&frame->arenas);
	case WIRE_RECLAIM:
		return reclaim_is_valid(&frame->reclaim_reply);
	case WIRE_TUNE:
		return is_knob(frame->tune_reply.knob) &&
		       frame->tune_reply.effect <= WIRE_EFFECT_PAIRED;
	case WIRE_BYE:
		return true;
	}

	return false;
}

static bool to_hook_is_valid(const struct wire_frame *frame)
{
	switch ((enum wire_verb)frame->header.verb) {
	case WIRE_STATS:
		return (frame->stats_request.flags & ~(uint32_t)STATS_FLAGS) == 0 &&
		       frame->stats_request.reserved == 0;
	case WIRE_RECLAIM:
		return is_method(frame->reclaim_request.method) &&
		       is_allocators(frame->reclaim_request.allocators) &&
		       frame->reclaim_request.reserved == 0;
	case WIRE_TUNE:
		return is_knob(frame->tune_request.knob) &&
		       frame->tune_request.reserved == 0;
	case WIRE_BYE:
		return true;
	case WIRE_HELLO:
	case WIRE_ARENA:
		return false;
	}

	return false;
}

/* Only answers carry a status, and everything but HELLO and BYE an id. */
static bool header_is_valid(const struct wire_header *header,
			    enum wire_direction direction)
{
	const bool greeting = header->verb == WIRE_HELLO || header->verb == WIRE_BYE;
	const bool answer =
		direction == WIRE_TO_DAEMON && !greeting && header->verb != WIRE_ARENA;

	if (header->magic != WIRE_MAGIC || header->version != WIRE_VERSION)
		return false;
	if (header->verb > WIRE_BYE || lengths[direction][header->verb] < 0)
		return false;
	if (header->length != (uint32_t)lengths[direction][header->verb])
		return false;

	return (header->id == 0) == greeting &&
	       header->status <= (answer ? WIRE_FAILED : WIRE_OK);
}

/* Who could not do it need not say what it did. */
static bool is_empty_refusal(const struct wire_frame *frame)
{
	return frame->header.status != WIRE_OK &&
	       is_zero(frame->bytes, frame->header.length);
}

int wire_check(const struct wire_frame *frame, size_t size, enum wire_direction direction)
{
	size_t used;

	if (size != sizeof(*frame) || !header_is_valid(&frame->header, direction))
		return -EPROTO;

	used = frame->header.length;
	if (!is_zero(frame->bytes + used, sizeof(frame->bytes) - used))
		return -EPROTO;

	if (direction == WIRE_TO_HOOK)
		return to_hook_is_valid(frame) ? 0 : -EPROTO;

	return is_empty_refusal(frame) || to_daemon_is_valid(frame) ? 0 : -EPROTO;
}
