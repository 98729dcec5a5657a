/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writes tests/fuzz/corpus/wire anew, one frame of each kind: for whoever changes the
 * wire. Usage: make-wire-seeds DIRECTORY.
 */

#include <stdio.h>
#include <string.h>

#include "libhook/wire.h"

static int put(const char *directory, const char *name, const struct wire_frame *frame)
{
	char path[4096];
	FILE *file;
	int r;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	if (!file) {
		perror(path);
		return 1;
	}

	r = fwrite(frame, sizeof(*frame), 1, file) == 1 ? 0 : 1;
	if (fclose(file) != 0 || r != 0)
		perror(path);
	return r;
}

static int put_to_daemon(const char *directory)
{
	struct wire_frame frame;
	int r = 0;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_HELLO, 0, WIRE_OK);
	frame.hello.agent_tid = 4711;
	frame.hello.flags = WIRE_HELLO_NAMED;
	frame.hello.allocators = WIRE_ALLOCATOR_GLIBC | WIRE_ALLOCATOR_JEMALLOC;
	frame.hello.malloc_owner = WIRE_ALLOCATOR_GLIBC;
	frame.hello.page_bytes = 4096;
	frame.hello.tuned = 1 << WIRE_KNOB_ARENA_MAX;
	strcpy(frame.hello.hook_version, "1.0");
	strcpy(frame.hello.libc_version, "2.36");
	r |= put(directory, "hello", &frame);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, 1, WIRE_OK);
	frame.stats.flags = WIRE_STATS_HEAP | WIRE_STATS_ARENAS;
	frame.stats.n_arena_frames = 1;
	r |= put(directory, "stats", &frame);

	frame.stats.foreign[0].allocator = WIRE_ALLOCATOR_JEMALLOC;
	frame.stats.foreign[0].in_use = 1 << 20;
	frame.stats.foreign[1].allocator = WIRE_ALLOCATOR_MIMALLOC;
	frame.stats.foreign[1].retained = 1 << 21;
	r |= put(directory, "stats-foreign", &frame);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_ARENA, 1, WIRE_OK);
	frame.arenas.n_rows = 2;
	frame.arenas.rows[1].nr = 1;
	r |= put(directory, "arena", &frame);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, 2, WIRE_OK);
	frame.reclaim_reply.method = WIRE_METHOD_FULL;
	frame.reclaim_reply.allocators = WIRE_ALLOCATOR_GLIBC;
	r |= put(directory, "reclaim", &frame);

	frame.reclaim_reply.method = WIRE_METHOD_BORROW;
	frame.reclaim_reply.end = WIRE_END_TIME;
	frame.reclaim_reply.n_arenas = 8;
	frame.reclaim_reply.n_reached = 7;
	r |= put(directory, "borrow", &frame);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_TUNE, 3, WIRE_OK);
	frame.tune_reply.knob = WIRE_KNOB_TOP_PAD;
	frame.tune_reply.value = 1 << 20;
	frame.tune_reply.effect = WIRE_EFFECT_MAYBE;
	r |= put(directory, "tune", &frame);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, 4, WIRE_REFUSED);
	r |= put(directory, "refusal", &frame);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_BYE, 0, WIRE_OK);
	return r | put(directory, "bye", &frame);
}

static int put_to_hook(const char *directory)
{
	struct wire_frame frame;
	int r = 0;

	wire_init(&frame, WIRE_TO_HOOK, WIRE_STATS, 1, WIRE_OK);
	frame.stats_request.flags = WIRE_STATS_HEAP | WIRE_STATS_RSS;
	r |= put(directory, "ask-stats", &frame);

	wire_init(&frame, WIRE_TO_HOOK, WIRE_RECLAIM, 2, WIRE_OK);
	frame.reclaim_request.method = WIRE_METHOD_FULL;
	r |= put(directory, "ask-reclaim", &frame);

	frame.reclaim_request.method = WIRE_METHOD_BORROW;
	frame.reclaim_request.allocators = WIRE_ALLOCATOR_GLIBC;
	frame.reclaim_request.limit_bytes = 1 << 20;
	frame.reclaim_request.limit_usec = 1000;
	r |= put(directory, "ask-borrow", &frame);

	wire_init(&frame, WIRE_TO_HOOK, WIRE_TUNE, 3, WIRE_OK);
	frame.tune_request.knob = WIRE_KNOB_ARENA_MAX;
	frame.tune_request.value = 2;
	return r | put(directory, "ask-tune", &frame);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "Usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}

	return put_to_daemon(argv[1]) | put_to_hook(argv[1]);
}
