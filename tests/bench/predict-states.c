/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The heaps whose release predict.c predicts: the table of them, and how each is made. */

#include "tests/bench/predict.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/macro.h"

#define HEAP_ALIGN (64 * MIB)
#define ARENAS_MAX 256

#define KIB_(n) ((n) * 1024U)
#define MIB_(n) ((n) * 1024U * 1024)

const struct state states[] = {
	{ "one page, pinned", 1, 128, FIXED, 4096, 0, 32, 0, false, SORTED, 0, 0, 0, 0, 0 },
	{ "one page, pinned, unsorted", 1, 128, FIXED, 4096, 0, 32, 0, false, UNSORTED, 0, 0, 0, 0, 0 },
	{ "4200 bytes", 1, 128, FIXED, 4200, 0, 32, 0, false, SORTED, 0, 0, 0, 0, 0 },
	{ "6000 bytes", 1, 128, FIXED, 6000, 0, 32, 0, false, SORTED, 0, 0, 0, 0, 0 },
	{ "8 KiB", 1, 128, FIXED, KIB_(8), 0, 32, 0, true, SORTED, 0, 0, 0, 0, 0 },
	{ "8 KiB, unsorted", 1, 128, FIXED, KIB_(8), 0, 32, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "16 KiB", 1, 192, FIXED, KIB_(16), 0, 32, 0, false, SORTED, 0, 0, 0, 0, 0 },
	{ "64 KiB", 1, 256, FIXED, KIB_(64), 0, 32, 0, false, SORTED, 0, 0, 0, 0, 0 },
	{ "64 KiB, unsorted", 1, 256, FIXED, KIB_(64), 0, 32, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "1 MiB", 1, 256, FIXED, MIB_(1), 0, 32, 0, false, SORTED, 0, 0, 0, 0, 0 },
	{ "8 MiB", 1, 256, FIXED, MIB_(8), 0, 32, 0, false, SORTED, 0, 0, 0, 0, 0 },
	{ "sub-page holes", 1, 128, EVEN, 600, 3000, 32, 0, true, SORTED, 0, 0, 0, 0, 0 },
	{ "sub-page holes, unsorted", 1, 128, EVEN, 600, 3000, 32, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "page and below, pinned, unsorted", 1, 128, EVEN, 600, 9000, 32, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "64 B to 64 KiB, 5 % kept", 1, 192, LOGARITHMIC, 64, KIB_(64), 0, 5, true, SORTED, 0, 0, 0, 0, 0 },
	{ "64 B to 64 KiB, 5 % kept, unsorted", 1, 192, LOGARITHMIC, 64, KIB_(64), 0, 5, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "64 B to 64 KiB, 20 % kept, unsorted", 1, 192, LOGARITHMIC, 64, KIB_(64), 0, 20, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "64 B to 64 KiB, 50 % kept, unsorted", 1, 192, LOGARITHMIC, 64, KIB_(64), 0, 50, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "200 B to 2 KiB, 1 % kept, unsorted", 1, 128, EVEN, 200, KIB_(2), 0, 1, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "200 B to 2 KiB, 10 % kept, unsorted", 1, 128, EVEN, 200, KIB_(2), 0, 10, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "200 B to 2 KiB, 30 % kept, sorted", 1, 128, EVEN, 200, KIB_(2), 0, 30, true, SORTED, 0, 0, 0, 0, 0 },
	{ "nothing kept", 1, 192, LOGARITHMIC, 64, KIB_(64), 0, 0, true, SORTED, 0, 0, 0, 0, 0 },
	{ "nothing kept, 4 arenas", 4, 192, LOGARITHMIC, 64, KIB_(64), 0, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "big top, main arena", 1, 192, FIXED, KIB_(64), 0, 32, 0, false, SORTED, 0, TOP_TOUCHED, 0, 0, 0 },
	{ "big tops, 4 arenas", 4, 160, FIXED, KIB_(64), 0, 32, 0, false, SORTED, 0, TOP_TOUCHED, 0, 0, 0 },
	{ "big tops never touched, 4 arenas", 4, 160, FIXED, KIB_(64), 0, 32, 0, false, SORTED, 0, TOP_UNTOUCHED, 0, 0, 0 },
	{ "big tops, 16 arenas, trimmed", 16, 256, FIXED, KIB_(16), 0, 32, 0, false, TRIMMED, 0, TOP_TOUCHED, 0, 0, 0 },
	{ "fastbins, 1 % kept", 1, 64, EVEN, 24, 100, 0, 1, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "fastbins, 10 % kept", 1, 64, EVEN, 24, 100, 0, 10, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "fastbins, nothing kept, 4 arenas", 4, 64, EVEN, 24, 100, 0, 0, false, UNSORTED, 0, 0, 0, 0, 0 },
	{ "thread caches, 64 threads", 64, 64, EVEN, 24, 1000, 0, 30, true, SORTED, 0, 0, 0, 0, 0 },
	{ "2 arenas, 64 KiB", 2, 192, FIXED, KIB_(64), 0, 32, 0, true, SORTED, 0, 0, 0, 0, 0 },
	{ "8 arenas, 16 KiB", 8, 256, FIXED, KIB_(16), 0, 32, 0, true, SORTED, 0, 0, 0, 0, 0 },
	{ "8 arenas, mixed, 10 % kept, unsorted", 8, 256, LOGARITHMIC, 64, KIB_(256), 0, 10, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "16 arenas, mixed, 20 % kept", 16, 256, LOGARITHMIC, 64, KIB_(64), 0, 20, true, SORTED, 0, 0, 0, 0, 0 },
	{ "64 arenas, mixed, 5 % kept, unsorted", 64, 256, LOGARITHMIC, 64, KIB_(64), 0, 5, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "128 arenas, 16 KiB, unsorted", 128, 256, FIXED, KIB_(16), 0, 32, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "256 arenas, mixed, 10 % kept", 256, 256, LOGARITHMIC, 64, KIB_(64), 0, 10, true, SORTED, 0, 0, 0, 0, 0 },
	{ "several heaps, 64 KiB", 2, 300, FIXED, KIB_(64), 0, 32, 0, true, SORTED, 0, 0, 0, 0, 0 },
	{ "several heaps, 1 MiB, unsorted", 3, 400, FIXED, MIB_(1), 0, 32, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "several heaps, mixed, 10 % kept", 2, 300, LOGARITHMIC, 64, KIB_(512), 0, 10, true, SORTED, 0, 0, 0, 0, 0 },
	{ "several heaps, nothing kept", 2, 300, LOGARITHMIC, 64, KIB_(512), 0, 0, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "trimmed before, 64 KiB", 1, 256, FIXED, KIB_(64), 0, 32, 0, true, TRIMMED, 0, 0, 0, 0, 0 },
	{ "trimmed before, 8 KiB", 1, 128, FIXED, KIB_(8), 0, 32, 0, true, TRIMMED, 0, 0, 0, 0, 0 },
	{ "trimmed before, mixed, 8 arenas", 8, 256, LOGARITHMIC, 64, KIB_(256), 0, 10, true, TRIMMED, 0, 0, 0, 0, 0 },
	{ "reused, 64 KiB, 4 arenas", 4, 192, FIXED, KIB_(64), 0, 32, 0, true, REUSED, 0, 0, 0, 0, 0 },
	{ "reused, mixed, 10 % kept", 1, 192, LOGARITHMIC, 64, KIB_(64), 0, 10, true, REUSED, 0, 0, 0, 0, 0 },
	{ "huge pages, 64 KiB, 4 arenas", 4, 192, FIXED, KIB_(64), 0, 32, 0, true, SORTED, HUGE_HEAPS, 0, 0, 0, 0 },
	{ "huge pages, 1 MiB, 2 arenas, unsorted", 2, 192, FIXED, MIB_(1), 0, 32, 0, true, UNSORTED, HUGE_HEAPS, 0, 0, 0, 0 },
	{ "huge pages, mixed, 10 % kept, trimmed", 4, 192, LOGARITHMIC, 64, KIB_(64), 0, 10, true, TRIMMED, HUGE_HEAPS, 0, 0, 0, 0 },
	{ "huge pages by the tunable, main arena", 1, 192, FIXED, KIB_(64), 0, 32, 0, true, SORTED, HUGE_TUNABLE, 0, 0, 0, 0 },
	{ "mapped chunks", 1, 192, EVEN, MIB_(1), MIB_(4), 0, 50, true, UNSORTED, 0, 0, 0, 0, 0 },
	{ "after a fork", 1, 192, FIXED, KIB_(64), 0, 32, 0, true, SORTED, 0, 0, true, 0, 0 },
	{ "busy, 4 arenas, 64 KiB", 4, 256, FIXED, KIB_(64), 0, 32, 0, true, SORTED, 0, 0, 0, true, 0 },
	{ "busy, 8 arenas, mixed, 10 % kept", 8, 256, LOGARITHMIC, 64, KIB_(256), 0, 10, true, UNSORTED, 0, 0, 0, true, 0 },
	{ "busy, main arena, 16 KiB", 1, 192, FIXED, KIB_(16), 0, 32, 0, true, SORTED, 0, 0, 0, true, 0 },
	{ "survivors never touched", 4, 192, LOGARITHMIC, KIB_(1), KIB_(64), 0, 30, true, SORTED, 0, 0, 0, 0, true },
};

const size_t n_of_states = ARRAY_SIZE(states);

struct block {
	char *p;
	uint32_t size;
	bool keep;
};

struct worker {
	pthread_t thread;
	const struct state *state;
	unsigned int nr;
	uint64_t seed;
	struct block *blocks;
	size_t n_blocks, n_max;
};

static pthread_barrier_t barrier;
static struct worker workers[ARENAS_MAX];

static uint64_t draw(struct worker *worker)
{
	worker->seed ^= worker->seed << 13;
	worker->seed ^= worker->seed >> 7;
	worker->seed ^= worker->seed << 17;
	return worker->seed;
}

static uint32_t draw_size(struct worker *worker)
{
	const struct state *s = worker->state;
	uint32_t low = s->least;

	switch (s->spread) {
	case FIXED:
		return s->least;
	case EVEN:
		return s->least + (uint32_t)(draw(worker) % (s->most - s->least));
	case LOGARITHMIC:
		for (uint64_t bits = draw(worker); low * 2 < s->most; bits >>= 4, low *= 2)
			if (bits % 16 < 2)
				break;
		return low + (uint32_t)(draw(worker) % low);
	}

	return low;
}

/*
 * Not with malloc(): the heap under test is to hold the test's blocks only. Nor with
 * MAP_NORESERVE, as glibc's heaps have: the kernel would join it with a heap that is next to it.
 */
static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("predict: cannot map memory");
		exit(1);
	}
	return p;
}

static void advise(const struct state *state, char *p)
{
	char *heap = (char *)((uintptr_t)p & ~(HEAP_ALIGN - 1));

	if (state->huge == HUGE_HEAPS)
		(void)madvise(heap, HEAP_ALIGN, MADV_HUGEPAGE);
}

static void touch(struct worker *worker, struct block *block)
{
	if (worker->state->untouched && block->keep && draw(worker) % 4 == 0)
		return;

	for (uint32_t i = 0; i < block->size; i += 4096)
		block->p[i] = 1;
	block->p[block->size - 1] = 1;
}

static void fill(struct worker *worker)
{
	const struct state *s = worker->state;
	uint64_t left = s->mib * MIB / s->n_arenas;

	while (worker->n_blocks + 2 < worker->n_max) {
		struct block *block = &worker->blocks[worker->n_blocks++];

		block->size = draw_size(worker);
		block->keep = draw(worker) % 100 < s->keep_percent;
		block->p = malloc(block->size);
		if (!block->p)
			abort();
		advise(s, block->p);
		touch(worker, block);
		if (s->pin_bytes > 0) {
			struct block *pin = &worker->blocks[worker->n_blocks++];

			*pin = (struct block){ malloc(s->pin_bytes), s->pin_bytes, true };
			touch(worker, pin);
		}
		if (left <= block->size)
			return;
		left -= block->size;
	}
}

static void shuffle(struct worker *worker)
{
	for (size_t i = worker->n_blocks; i > 1; i--) {
		const size_t j = draw(worker) % i;
		struct block block = worker->blocks[i - 1];

		worker->blocks[i - 1] = worker->blocks[j];
		worker->blocks[j] = block;
	}
}

/* Frees every @part. block that is not kept. */
static size_t drop(struct worker *worker, unsigned int part)
{
	size_t n = 0;

	for (size_t i = 0; i < worker->n_blocks; i++) {
		struct block *block = &worker->blocks[i];

		if (!block->p || block->keep || i % part != 0)
			continue;
		free(block->p);
		block->p = NULL;
		n++;
	}

	return n;
}

/* Allocates every @part. block that is free. */
static void refill(struct worker *worker, unsigned int part)
{
	for (size_t i = 0; i < worker->n_blocks; i += part) {
		struct block *block = &worker->blocks[i];

		if (block->p)
			continue;
		block->p = malloc(block->size);
		if (!block->p)
			abort();
		touch(worker, block);
	}
}

/* What sorts the unsorted bin: 10,000 chunks at a time. */
static void sort(size_t n)
{
	void *p[64];
	size_t k = MIN(n / 10000 + 2, ARRAY_SIZE(p));

	for (size_t i = 0; i < k; i++)
		p[i] = malloc(1500);
	for (size_t i = 0; i < k; i++)
		free(p[i]);
}

static void one_pass(struct worker *worker, bool first)
{
	const struct state *s = worker->state;
	char *top = NULL;
	size_t n;

	if (first)
		fill(worker);
	else
		refill(worker, 1);

	if (s->top) {
		const size_t size = MIN(s->mib * MIB / s->n_arenas / 2, 24 * MIB);

		top = malloc(size);
		if (!top)
			abort();
		/* Not memset(), which a compiler may drop before free(). */
		for (size_t i = 0; i < size && s->top == TOP_TOUCHED; i += 4096)
			((volatile char *)top)[i] = 1;
	}
	if (first && s->shuffle)
		shuffle(worker);
	n = drop(worker, 1);
	free(top);
	if (s->after == SORTED || s->after == REUSED)
		sort(n);
	if (s->after == REUSED)
		refill(worker, 3);
}

/* Once for all of them. */
static void trim(const struct worker *worker)
{
	if (worker->state->after == TRIMMED && worker->nr == 0)
		malloc_trim(0);
}

static void settle(struct worker *worker)
{
	if (worker->state->after != TRIMMED)
		return;

	refill(worker, 3);
	drop(worker, 1);
}

static void *work(void *userdata)
{
	struct worker *worker = userdata;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		one_pass(worker, i == 0);
		pthread_barrier_wait(&barrier);
		trim(worker);
		pthread_barrier_wait(&barrier);
		settle(worker);
		pthread_barrier_wait(&barrier);
	}
	pause();
	return NULL;
}

static void *keep_busy(void *userdata)
{
	void *p[256] = { NULL };

	for (uint64_t i = 0;; i++) {
		void **slot = &p[i * 7919 % ARRAY_SIZE(p)];

		free(*slot);
		*slot = malloc(100 + i % 3000);
		if (i % 1000 == 0)
			usleep(100);
	}

	return userdata;
}

static void prepare(struct worker *worker, const struct state *state, unsigned int nr)
{
	/* Blocks and pins, at the smallest size. */
	worker->n_max = state->mib * MIB / state->n_arenas / MAX(state->least, 16U) * 3 + 16;
	worker->blocks = map(worker->n_max * sizeof(struct block));
	worker->state = state;
	worker->nr = nr;
	worker->seed = 88172645463325252U + nr * 2654435761U;
}

static void say(char c)
{
	if (write(STDOUT_FILENO, &c, 1) != 1)
		_exit(1);
}

static void wait_go(void)
{
	char c;

	if (read(STDIN_FILENO, &c, 1) != 1)
		_exit(0);
}

static void *idle(void *userdata)
{
	pause();
	return userdata;
}

int subject(const struct state *state)
{
	const bool threads = state->n_arenas > 1;
	pthread_t other;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mallopt(M_ARENA_MAX, 2 * ARENAS_MAX);
	if (state->least < MIB || state->keep_percent == 0) {
		mallopt(M_MMAP_THRESHOLD, 32 << 20);
		mallopt(M_TRIM_THRESHOLD, 64 << 20);
	}
	pthread_barrier_init(&barrier, NULL, threads ? state->n_arenas + 1 : 1);
	for (unsigned int i = 0; i < state->n_arenas; i++) {
		prepare(&workers[i], state, i);
		if (threads)
			pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; state->busy && i < 2; i++)
		pthread_create(&other, NULL, keep_busy, NULL);

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		if (!threads)
			one_pass(&workers[0], i == 0);
		pthread_barrier_wait(&barrier);
		if (!threads)
			trim(&workers[0]);
		pthread_barrier_wait(&barrier);
		if (!threads)
			settle(&workers[0]);
		pthread_barrier_wait(&barrier);
		if (i == 0 && state->forked && fork() > 0) {
			wait(NULL);
			_exit(0);
		}
		if (i == 0 && !threads)
			pthread_create(&other, NULL, idle, NULL);
		say('r');
		wait_go();
	}

	return 0;
}
