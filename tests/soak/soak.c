/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that does everything a release could disturb, and notices a changed byte:
 * threads allocate, resize and free blocks full of canaries, also each other's; threads
 * come and go; children are forked in the middle, check what they inherited and allocate;
 * a library is loaded and unloaded. Ends with its input, and tells what it did.
 *
 *	soak [WORKERS]
 */

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Small, so that a release is done in a moment and an hour sees a million; but with holes
 * of every size that borrowing tries, and more threads than the machine has CPUs.
 */
#define SLOTS 128
#define RING 32
#define WORKERS_MAX 16

/* Each costs a release the same again; threads that share one meet the agent in it. */
#define ARENAS 3

/* Nobody waits longer for anything here, unless something hangs. */
#define CHILD_LIMIT_SEC 60

struct block {
	size_t bytes;
	uint64_t seed;
	unsigned char data[];
};

static _Atomic(struct block *) ring[RING];
static _Atomic bool running = true;
static _Atomic unsigned long long n_operations, n_forks, n_threads, n_loads;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static unsigned char canary(uint64_t seed, size_t i)
{
	return (unsigned char)((seed + i * 0x9e3779b97f4a7c15ULL) >> 56);
}

/* All bytes of small blocks; of large ones both ends, and some of every page. */
static size_t stride(size_t bytes, size_t i)
{
	return bytes < 4096 || i < 256 || i + 320 > bytes ? 1 : 61;
}

static void paint(struct block *block, size_t from)
{
	for (size_t i = 0; i < block->bytes; i += stride(block->bytes, i))
		if (i >= from)
			block->data[i] = canary(block->seed, i);
}

static void check(const struct block *block, size_t bytes, const char *where)
{
	for (size_t i = 0; i < bytes; i += stride(block->bytes, i))
		if (block->data[i] != canary(block->seed, i)) {
			dprintf(2, "BAD %s: block of %zu bytes, byte %zu is %02x\n", where, block->bytes, i,
				block->data[i]);
			abort();
		}
}

static size_t some_size(uint64_t *seed)
{
	const uint64_t r = next_random(seed);

	if (r % 64 == 0)
		return 20000 + (r >> 20) % 200000;
	if (r % 4 == 0)
		return 1000 + (r >> 20) % 16000;

	return (r >> 20) % 1000;
}

static struct block *make(uint64_t *seed)
{
	const size_t bytes = some_size(seed);
	struct block *block = malloc(sizeof(*block) + bytes);

	if (!block) {
		dprintf(2, "BAD malloc: no memory\n");
		abort();
	}
	block->bytes = bytes;
	block->seed = next_random(seed);
	paint(block, 0);
	return block;
}

static struct block *resize(struct block *block, uint64_t *seed)
{
	const size_t before = block->bytes, bytes = some_size(seed);
	struct block *next = realloc(block, sizeof(*block) + bytes);

	if (!next)
		return block;
	/* What was painted for the old size is not what the new one expects: all anew. */
	for (size_t i = 0; i < (before < bytes ? before : bytes); i += stride(before, i))
		if (next->data[i] != canary(next->seed, i)) {
			dprintf(2, "BAD realloc: byte %zu of %zu\n", i, before);
			abort();
		}
	next->bytes = bytes;
	paint(next, 0);
	return next;
}

static void discard(struct block *block, const char *where)
{
	if (!block)
		return;
	check(block, block->bytes, where);
	free(block);
}

static void step(struct block **slots, uint64_t *seed)
{
	const uint64_t r = next_random(seed);
	struct block **slot = &slots[r % SLOTS];

	if (!*slot) {
		*slot = make(seed);
	} else if ((r >> 32) % 8 == 0) {
		*slot = resize(*slot, seed);
	} else if ((r >> 32) % 8 == 1) {
		*slot = atomic_exchange(&ring[(r >> 40) % RING], *slot);
	} else {
		discard(*slot, "free");
		*slot = NULL;
	}
	atomic_fetch_add_explicit(&n_operations, 1, memory_order_relaxed);
}

static void *worker(void *arg)
{
	struct block *slots[SLOTS] = { NULL };
	uint64_t seed = 88172645463325252ULL + (uintptr_t)arg * 104729;

	while (running) {
		for (int i = 0; i < 16; i++)
			step(slots, &seed);
		/* Now and then everything at once, as after a burst. */
		if (next_random(&seed) % 32 == 0)
			for (int i = 0; i < SLOTS; i++) {
				discard(slots[i], "burst");
				slots[i] = NULL;
			}
		/* Leaves the releases some of the CPU: they are what is to be soaked. */
		usleep(2000);
	}

	for (int i = 0; i < SLOTS; i++)
		discard(slots[i], "end");
	return NULL;
}

static void *short_life(void *arg)
{
	struct block *slots[SLOTS] = { NULL };
	uint64_t seed = (uintptr_t)arg * 7919 + 1;

	for (int i = 0; i < 100; i++)
		step(slots, &seed);
	for (int i = 0; i < SLOTS; i++)
		discard(slots[i], "short");
	return NULL;
}

static void *churn(void *arg)
{
	for (uintptr_t i = 1; running; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, short_life, (void *)i) == 0) {
			pthread_join(thread, NULL);
			n_threads++;
		}
		usleep(5000);
	}

	return arg;
}

static int child(struct block **slots, uint64_t seed, bool with_thread)
{
	pthread_t thread;

	alarm(CHILD_LIMIT_SEC);
	for (int i = 0; i < SLOTS; i++)
		if (slots[i])
			check(slots[i], slots[i]->bytes, "child");
	for (int i = 0; i < 50; i++) {
		const uint64_t r = next_random(&seed);

		/* Not through the ring: others may be in the middle of it, and are not here. */
		discard(slots[r % SLOTS], "child free");
		slots[r % SLOTS] = make(&seed);
	}
	if (with_thread && pthread_create(&thread, NULL, worker, (void *)seed) == 0) {
		usleep(1000);
		running = false;
		pthread_join(thread, NULL);
	}

	_exit(0);
}

static void *fork_often(void *arg)
{
	static struct block *slots[SLOTS];
	uint64_t seed = 1234567;

	while (running) {
		int status = -1;
		pid_t pid;

		for (int i = 0; i < 50; i++)
			step(slots, &seed);
		pid = fork();
		if (pid == 0)
			child(slots, seed, n_forks % 4 == 0);
		if (pid < 0)
			continue;
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (status != 0) {
			dprintf(2, "BAD child: status %x\n", (unsigned int)status);
			abort();
		}
		n_forks++;
		usleep(20000);
	}

	return arg;
}

static void *load_often(void *arg)
{
	static const char *const names[] = { "libm.so.6", "libresolv.so.2", "libz.so.1" };

	for (unsigned int i = 0; running; i++) {
		void *library = dlopen(names[i % 3], RTLD_NOW);

		if (library) {
			dlclose(library);
			n_loads++;
		}
		usleep(50000);
	}

	return arg;
}

int main(int argc, char **argv)
{
	const uintptr_t n = argc > 1 ? (uintptr_t)atoi(argv[1]) : 3;
	pthread_t threads[WORKERS_MAX + 3];
	uintptr_t i;
	char c;

	mallopt(M_ARENA_MAX, ARENAS);
	for (i = 0; i < n && i < WORKERS_MAX; i++)
		pthread_create(&threads[i], NULL, worker, (void *)(i + 1));
	pthread_create(&threads[i++], NULL, churn, NULL);
	pthread_create(&threads[i++], NULL, fork_often, NULL);
	pthread_create(&threads[i++], NULL, load_often, NULL);

	while (read(0, &c, 1) > 0)
		;
	running = false;
	while (i > 0)
		pthread_join(threads[--i], NULL);
	for (i = 0; i < RING; i++)
		discard(ring[i], "ring");
	printf("operations %llu forks %llu threads %llu loads %llu\n", n_operations, n_forks, n_threads,
	       n_loads);
	return 0;
}
