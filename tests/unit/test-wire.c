/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every rule of wire_check(), each by a frame that breaks only that one. */

#include "tests/unit/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "libhook/wire.h"

struct kind {
	enum wire_direction direction;
	enum wire_verb verb;
	size_t length;
	bool answer;
};

static const struct kind kinds[] = {
	{ WIRE_TO_DAEMON, WIRE_HELLO, sizeof(struct wire_hello), false },
	{ WIRE_TO_DAEMON, WIRE_STATS, sizeof(struct wire_stats), true },
	{ WIRE_TO_DAEMON, WIRE_ARENA, sizeof(struct wire_arenas), false },
	{ WIRE_TO_DAEMON, WIRE_RECLAIM, sizeof(struct wire_reclaim_reply), true },
	{ WIRE_TO_DAEMON, WIRE_TUNE, sizeof(struct wire_tune_reply), true },
	{ WIRE_TO_DAEMON, WIRE_BYE, 0, false },
	{ WIRE_TO_HOOK, WIRE_STATS, sizeof(struct wire_stats_request), false },
	{ WIRE_TO_HOOK, WIRE_RECLAIM, sizeof(struct wire_reclaim_request), false },
	{ WIRE_TO_HOOK, WIRE_TUNE, sizeof(struct wire_tune_request), false },
	{ WIRE_TO_HOOK, WIRE_BYE, 0, false },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void fill_to_daemon(struct wire_frame *frame, enum wire_verb verb)
{
	switch (verb) {
	case WIRE_HELLO:
		frame->hello.agent_tid = 4711;
		frame->hello.allocators = WIRE_ALLOCATOR_GLIBC | WIRE_ALLOCATOR_OTHER;
		frame->hello.malloc_owner = WIRE_ALLOCATOR_GLIBC;
		frame->hello.page_bytes = 4096;
		strcpy(frame->hello.hook_version, "1.0");
		strcpy(frame->hello.libc_version, "2.36");
		break;
	case WIRE_STATS:
		frame->stats.flags = WIRE_STATS_HEAP;
		frame->stats.rss = 1 << 20;
		break;
	case WIRE_ARENA:
		frame->arenas.n_rows = 1;
		frame->arenas.rows[0].system = 1 << 20;
		break;
	case WIRE_RECLAIM:
		frame->reclaim_reply.method = WIRE_METHOD_FULL;
		frame->reclaim_reply.allocators = WIRE_ALLOCATOR_GLIBC;
		break;
	case WIRE_TUNE:
		frame->tune_reply.knob = WIRE_KNOB_TOP_PAD;
		break;
	case WIRE_BYE:
		break;
	}
}

static void fill_to_hook(struct wire_frame *frame, enum wire_verb verb)
{
	switch (verb) {
	case WIRE_STATS:
		frame->stats_request.flags = WIRE_STATS_HEAP | WIRE_STATS_RSS;
		break;
	case WIRE_RECLAIM:
		frame->reclaim_request.method = WIRE_METHOD_FULL;
		break;
	case WIRE_TUNE:
		frame->tune_request.knob = WIRE_KNOB_ARENA_MAX;
		frame->tune_request.value = 2;
		break;
	case WIRE_HELLO:
	case WIRE_ARENA:
	case WIRE_BYE:
		break;
	}
}

static struct wire_frame good(const struct kind *kind)
{
	const bool has_id = kind->verb != WIRE_HELLO && kind->verb != WIRE_BYE;
	struct wire_frame frame;

	memset(&frame, 0xff, sizeof(frame));
	wire_init(&frame, kind->direction, kind->verb, has_id ? 7 : 0, WIRE_OK);
	if (kind->direction == WIRE_TO_DAEMON)
		fill_to_daemon(&frame, kind->verb);
	else
		fill_to_hook(&frame, kind->verb);

	return frame;
}

static struct wire_frame good_to_daemon(enum wire_verb verb)
{
	return good(&(struct kind){ .direction = WIRE_TO_DAEMON, .verb = verb });
}

static struct wire_frame good_to_hook(enum wire_verb verb)
{
	return good(&(struct kind){ .direction = WIRE_TO_HOOK, .verb = verb });
}

static int to_daemon(const struct wire_frame *frame)
{
	return wire_check(frame, sizeof(*frame), WIRE_TO_DAEMON);
}

static int to_hook(const struct wire_frame *frame)
{
	return wire_check(frame, sizeof(*frame), WIRE_TO_HOOK);
}

static int check(const struct wire_frame *frame, const struct kind *kind)
{
	return wire_check(frame, sizeof(*frame), kind->direction);
}

static void test_every_kind_of_frame_passes(void)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		const struct wire_frame frame = good(&kinds[i]);

		CHECK_EQ(check(&frame, &kinds[i]), 0);
		CHECK_EQ(frame.header.length, kinds[i].length);
	}
}

static void test_only_bye_and_tune_look_alike_both_ways(void)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		const struct wire_frame frame = good(&kinds[i]);
		const bool both = to_daemon(&frame) == 0 && to_hook(&frame) == 0;

		CHECK_EQ(both, kinds[i].verb == WIRE_BYE || kinds[i].verb == WIRE_TUNE);
	}
}

static void test_unknown_verbs_are_refused(void)
{
	for (unsigned int verb = 0; verb <= UINT16_MAX; verb++) {
		struct wire_frame frame = good_to_daemon(WIRE_BYE);

		frame.header.verb = (uint16_t)verb;
		CHECK_EQ(to_daemon(&frame), verb == WIRE_BYE ? 0 : -EPROTO);
		CHECK_EQ(to_hook(&frame), verb == WIRE_BYE ? 0 : -EPROTO);
	}
}

static void test_every_other_size_is_refused(void)
{
	const struct wire_frame frame = good_to_daemon(WIRE_STATS);

	for (size_t size = 0; size <= 4 * sizeof(frame); size++)
		CHECK_EQ(wire_check(&frame, size, WIRE_TO_DAEMON),
			 size == WIRE_FRAME_BYTES ? 0 : -EPROTO);
	CHECK_EQ(wire_check(&frame, SIZE_MAX, WIRE_TO_DAEMON), -EPROTO);
}

static void test_other_magic_and_version_are_refused(void)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		struct wire_frame frame = good(&kinds[i]);

		frame.header.magic ^= 1;
		CHECK_EQ(check(&frame, &kinds[i]), -EPROTO);

		frame = good(&kinds[i]);
		frame.header.version++;
		CHECK_EQ(check(&frame, &kinds[i]), -EPROTO);
	}
}

static void test_length_must_be_that_of_the_payload(void)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		for (uint32_t length = 0; length < 2 * WIRE_FRAME_BYTES; length++) {
			struct wire_frame frame = good(&kinds[i]);

			frame.header.length = length;
			CHECK_EQ(check(&frame, &kinds[i]),
				 length == kinds[i].length ? 0 : -EPROTO);
		}
	}
}

static void test_only_hello_and_bye_have_no_id(void)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		struct wire_frame frame = good(&kinds[i]);

		frame.header.id = frame.header.id == 0;
		CHECK_EQ(check(&frame, &kinds[i]), -EPROTO);
	}
}

static void test_only_answers_have_a_status(void)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		for (uint32_t status = 0; status <= WIRE_FAILED + 2; status++) {
			const bool fits =
				status == 0 || (kinds[i].answer && status <= WIRE_FAILED);
			struct wire_frame frame = good(&kinds[i]);

			frame.header.status = status;
			CHECK_EQ(check(&frame, &kinds[i]), fits ? 0 : -EPROTO);
		}
	}
}

static void test_a_refusal_may_be_empty_but_not_a_success(void)
{
	static const enum wire_verb verbs[] = { WIRE_RECLAIM, WIRE_TUNE };
	struct wire_frame frame;

	for (size_t i = 0; i < 2; i++) {
		wire_init(&frame, WIRE_TO_DAEMON, verbs[i], 7, WIRE_REFUSED);
		CHECK_EQ(to_daemon(&frame), 0);
		wire_init(&frame, WIRE_TO_DAEMON, verbs[i], 7, WIRE_OK);
		CHECK_EQ(to_daemon(&frame), -EPROTO);
	}

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_TUNE, 7, WIRE_REFUSED);
	frame.tune_reply.value = 1;
	CHECK_EQ(to_daemon(&frame), -EPROTO);
}

static void test_every_byte_behind_the_payload_must_be_zero(void)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		for (size_t j = kinds[i].length; j < WIRE_PAYLOAD_BYTES; j++) {
			struct wire_frame frame = good(&kinds[i]);

			frame.bytes[j] = 1;
			CHECK_EQ(check(&frame, &kinds[i]), -EPROTO);
		}
	}
}

static void test_reserved_fields_must_be_zero(void)
{
	struct wire_frame frame = good_to_daemon(WIRE_HELLO);

	frame.hello.reserved = 1;
	CHECK_EQ(to_daemon(&frame), -EPROTO);

	frame = good_to_daemon(WIRE_TUNE);
	frame.tune_reply.effect = WIRE_EFFECT_PAIRED + 1;
	CHECK_EQ(to_daemon(&frame), -EPROTO);

	frame = good_to_hook(WIRE_STATS);
	frame.stats_request.reserved = 1;
	CHECK_EQ(to_hook(&frame), -EPROTO);

	frame = good_to_hook(WIRE_RECLAIM);
	frame.reclaim_request.reserved = 1;
	CHECK_EQ(to_hook(&frame), -EPROTO);

	frame = good_to_hook(WIRE_TUNE);
	frame.tune_request.reserved = 1;
	CHECK_EQ(to_hook(&frame), -EPROTO);
}

/* Puts each single bit into the mask at @offset of @kind's payload. */
static void check_mask(const struct kind *kind, size_t offset, uint32_t known)
{
	for (int bit = 0; bit < 32; bit++) {
		const uint32_t mask = UINT32_C(1) << bit;
		struct wire_frame frame = good(kind);

		memcpy(frame.bytes + offset, &mask, sizeof(mask));
		CHECK_EQ(check(&frame, kind), (known & mask) ? 0 : -EPROTO);
	}
}

static void test_unknown_bits_are_refused(void)
{
	const struct kind hello = { .direction = WIRE_TO_DAEMON, .verb = WIRE_HELLO };
	const struct kind stats = { .direction = WIRE_TO_DAEMON, .verb = WIRE_STATS };
	const struct kind reply = { .direction = WIRE_TO_DAEMON, .verb = WIRE_RECLAIM };
	const struct kind question = { .direction = WIRE_TO_HOOK, .verb = WIRE_STATS };

	check_mask(&hello, offsetof(struct wire_hello, flags), 7);
	check_mask(&hello, offsetof(struct wire_hello, tuned), 0x3e);
	check_mask(&hello, offsetof(struct wire_hello, env_tuned), 0x3e);
	/* Of the two allocators that are there. */
	check_mask(&hello, offsetof(struct wire_hello, malloc_owner), 0x11);
	/* With glibc as the owner glibc has to be there. */
	check_mask(&hello, offsetof(struct wire_hello, allocators), 0x01);
	check_mask(&stats, offsetof(struct wire_stats, flags), 7);
	check_mask(&reply, offsetof(struct wire_reclaim_reply, allocators), 0x3f);
	check_mask(&reply, offsetof(struct wire_reclaim_reply, end), 7);
	check_mask(&reply, offsetof(struct wire_reclaim_reply, n_reached), 0);
	check_mask(&stats, offsetof(struct wire_stats, foreign[0].allocator), 0x3f);
	check_mask(&stats, offsetof(struct wire_stats, foreign[0].reserved), 0);
	check_mask(&stats, offsetof(struct wire_stats, foreign[1].in_use), 0);
	check_mask(&question, offsetof(struct wire_stats_request, flags), 7);
}

static void test_malloc_has_at_most_one_owner(void)
{
	struct wire_frame frame = good_to_daemon(WIRE_HELLO);

	frame.hello.malloc_owner = WIRE_ALLOCATOR_GLIBC | WIRE_ALLOCATOR_OTHER;
	CHECK_EQ(to_daemon(&frame), -EPROTO);
	frame.hello.malloc_owner = 0;
	CHECK_EQ(to_daemon(&frame), 0);
}

static void test_pages_are_powers_of_two_up_to_a_mebibyte(void)
{
	for (uint32_t bytes = 0; bytes <= 4 << 20; bytes += 1024) {
		const bool fits = bytes == 4096 || bytes == 8192 || bytes == 16384 ||
				  bytes == 32768 || bytes == 65536 || bytes == 131072 ||
				  bytes == 262144 || bytes == 524288 || bytes == 1048576;
		struct wire_frame frame = good_to_daemon(WIRE_HELLO);

		frame.hello.page_bytes = bytes;
		CHECK_EQ(to_daemon(&frame), fits ? 0 : -EPROTO);
	}
}

static int hello_with(const char text[16])
{
	struct wire_frame hook = good_to_daemon(WIRE_HELLO);
	struct wire_frame libc = hook;

	memcpy(hook.hello.hook_version, text, 16);
	memcpy(libc.hello.libc_version, text, 16);
	CHECK_EQ(to_daemon(&hook), to_daemon(&libc));
	return to_daemon(&hook);
}

static void test_strings_are_terminated_printable_ascii(void)
{
	CHECK_EQ(hello_with("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 0);
	CHECK_EQ(hello_with("123456789 12345"), 0);
	CHECK_EQ(hello_with("123456789 123456"), -EPROTO);
	CHECK_EQ(hello_with("1.0\n\0\0\0\0\0\0\0\0\0\0\0"), -EPROTO);
	CHECK_EQ(hello_with("1.0\x1b[2J\0\0\0\0\0\0\0\0"), -EPROTO);
	CHECK_EQ(hello_with("1.0\xc3\xa4\0\0\0\0\0\0\0\0\0\0"), -EPROTO);
	CHECK_EQ(hello_with("1.0\x7f\0\0\0\0\0\0\0\0\0\0\0"), -EPROTO);
	/* Something hidden behind the end. */
	CHECK_EQ(hello_with("1.0\0x\0\0\0\0\0\0\0\0\0\0"), -EPROTO);
	CHECK_EQ(hello_with("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x"), -EPROTO);
}

static void test_rows_are_within_the_frame_and_unused_ones_zero(void)
{
	for (uint32_t n = 0; n < 6; n++) {
		struct wire_frame frame = good_to_daemon(WIRE_ARENA);

		frame.arenas.n_rows = n;
		CHECK_EQ(to_daemon(&frame), n >= 1 && n <= WIRE_ROWS ? 0 : -EPROTO);

		frame.arenas.rows[WIRE_ROWS - 1].nr = 5;
		CHECK_EQ(to_daemon(&frame), n == WIRE_ROWS ? 0 : -EPROTO);
	}

	for (int bit = 2; bit < 32; bit++) {
		struct wire_frame frame = good_to_daemon(WIRE_ARENA);

		frame.arenas.n_rows = UINT32_C(1) << bit;
		CHECK_EQ(to_daemon(&frame), -EPROTO);
	}
}

static void test_announced_frames_are_bounded(void)
{
	struct wire_frame frame = good_to_daemon(WIRE_STATS);

	frame.stats.n_arena_frames = 4096;
	CHECK_EQ(to_daemon(&frame), 0);
	frame.stats.n_arena_frames = 4097;
	CHECK_EQ(to_daemon(&frame), -EPROTO);
	frame.stats.n_arena_frames = UINT32_MAX;
	CHECK_EQ(to_daemon(&frame), -EPROTO);
}

static void test_methods_and_knobs_are_known_ones(void)
{
	for (uint32_t i = 0; i < 70; i++) {
		const bool method = i == WIRE_METHOD_FULL || i == WIRE_METHOD_BORROW;
		const bool knob = i >= 1 && i < WIRE_KNOB_MAX_;
		struct wire_frame frame = good_to_daemon(WIRE_RECLAIM);

		frame.reclaim_reply.method = i;
		CHECK_EQ(to_daemon(&frame), method ? 0 : -EPROTO);

		frame = good_to_hook(WIRE_RECLAIM);
		frame.reclaim_request.method = i;
		CHECK_EQ(to_hook(&frame), method ? 0 : -EPROTO);

		frame = good_to_daemon(WIRE_TUNE);
		frame.tune_reply.knob = i;
		CHECK_EQ(to_daemon(&frame), knob ? 0 : -EPROTO);

		frame = good_to_hook(WIRE_TUNE);
		frame.tune_request.knob = i;
		CHECK_EQ(to_hook(&frame), knob ? 0 : -EPROTO);
	}
}

static void test_any_value_may_be_asked_for_since_the_hook_clamps(void)
{
	struct wire_frame frame = good_to_hook(WIRE_TUNE);

	frame.tune_request.value = UINT64_MAX;
	CHECK_EQ(to_hook(&frame), 0);
	frame.tune_request.value = 0;
	CHECK_EQ(to_hook(&frame), 0);
}

static void test_clamp_brings_values_into_range(void)
{
	const uint64_t kib = 1024, mib = kib * kib, gib = kib * mib;

	CHECK_EQ(wire_clamp(WIRE_KNOB_ARENA_MAX, 0), 1);
	CHECK_EQ(wire_clamp(WIRE_KNOB_ARENA_MAX, 2), 2);
	CHECK_EQ(wire_clamp(WIRE_KNOB_ARENA_MAX, UINT64_MAX), 4096);
	CHECK_EQ(wire_clamp(WIRE_KNOB_MMAP_THRESHOLD, 1), 64 * kib);
	CHECK_EQ(wire_clamp(WIRE_KNOB_MMAP_THRESHOLD, 128 * kib), 128 * kib);
	CHECK_EQ(wire_clamp(WIRE_KNOB_MMAP_THRESHOLD, 2 * gib), gib);
	CHECK_EQ(wire_clamp(WIRE_KNOB_TRIM_THRESHOLD, 0), 64 * kib);
	CHECK_EQ(wire_clamp(WIRE_KNOB_TRIM_THRESHOLD, 64 * kib), 64 * kib);
	CHECK_EQ(wire_clamp(WIRE_KNOB_TRIM_THRESHOLD, gib + 1), gib);
	CHECK_EQ(wire_clamp(WIRE_KNOB_TOP_PAD, 0), 0);
	CHECK_EQ(wire_clamp(WIRE_KNOB_TOP_PAD, gib), 64 * mib);
}

static void test_clamp_knows_no_other_knob(void)
{
	CHECK_EQ(wire_clamp((enum wire_knob)0, 5), 0);
	CHECK_EQ(wire_clamp(WIRE_KNOB_MAX_, 5), 0);
	CHECK_EQ(wire_clamp((enum wire_knob)1000, 5), 0);
}

static void test_every_clamped_value_fits_an_int(void)
{
	/* mallopt() takes an int. */
	for (int knob = 1; knob < WIRE_KNOB_MAX_; knob++)
		CHECK(wire_clamp((enum wire_knob)knob, UINT64_MAX) <= INT32_MAX);
}

int main(void)
{
	RUN(test_every_kind_of_frame_passes);
	RUN(test_only_bye_and_tune_look_alike_both_ways);
	RUN(test_unknown_verbs_are_refused);
	RUN(test_every_other_size_is_refused);
	RUN(test_other_magic_and_version_are_refused);
	RUN(test_length_must_be_that_of_the_payload);
	RUN(test_only_hello_and_bye_have_no_id);
	RUN(test_only_answers_have_a_status);
	RUN(test_a_refusal_may_be_empty_but_not_a_success);
	RUN(test_every_byte_behind_the_payload_must_be_zero);
	RUN(test_reserved_fields_must_be_zero);
	RUN(test_unknown_bits_are_refused);
	RUN(test_malloc_has_at_most_one_owner);
	RUN(test_pages_are_powers_of_two_up_to_a_mebibyte);
	RUN(test_strings_are_terminated_printable_ascii);
	RUN(test_rows_are_within_the_frame_and_unused_ones_zero);
	RUN(test_announced_frames_are_bounded);
	RUN(test_methods_and_knobs_are_known_ones);
	RUN(test_any_value_may_be_asked_for_since_the_hook_clamps);
	RUN(test_clamp_brings_values_into_range);
	RUN(test_clamp_knows_no_other_knob);
	RUN(test_every_clamped_value_fits_an_int);
	return TEST_RESULT();
}
