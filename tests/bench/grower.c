/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that grows at a steady rate. Before that it may fill the arenas of threads with
 * blocks of many sizes and free nearly all of them: what stays in use pins the heaps, so the
 * allocator keeps the rest, and what is allocated later does not fit into it.
 *
 *	grower RETAIN_MIB ARENAS BEGIN_MIB TO_MIB KIB_PER_SEC
 *
 * Prints "ready" when it has BEGIN_MIB; then a line on standard input begins the growth, up
 * to TO_MIB. At the end "reached" with the MiB, the milliseconds since the line, and those it
 * took for the first half. The end of the input ends it.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define USEC_PER_SEC UINT64_C(1000000)

#define ARENAS_MAX 64
#define KEPT_ONE_IN 200

/* Growth comes as mappings of their own, made resident by the kernel at once where it can. */
#define BLOCK_BYTES (256 * KIB)
#define PAGE_BYTES (4 * KIB)

struct filler {
	pthread_t thread;
	uint64_t bytes;
	unsigned int seed;
};

static struct filler fillers[ARENAS_MAX];
static pthread_barrier_t freed;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "grower: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 8;
}

/* The thread stays, and its arena with it. */
static void *fill(void *arg)
{
	struct filler *filler = arg;
	const size_t n_max = filler->bytes / 4096 + 1;
	void **blocks = calloc(n_max, sizeof(*blocks));
	uint64_t held = 0;
	size_t n = 0;

	if (!blocks)
		die("memory");
	while (held < filler->bytes && n < n_max) {
		const size_t bytes = 512 + next_random(&filler->seed) % 16384;

		blocks[n] = malloc(bytes);
		if (!blocks[n])
			die("memory");
		memset(blocks[n++], 'm', bytes);
		held += bytes;
	}
	for (size_t i = 0; i < n; i++)
		if (i % KEPT_ONE_IN != 0)
			free(blocks[i]);

	free(blocks);
	pthread_barrier_wait(&freed);
	pause();
	return NULL;
}

static void retain(uint64_t bytes, unsigned int n_arenas)
{
	if (n_arenas == 0)
		return;

	pthread_barrier_init(&freed, NULL, n_arenas + 1);
	for (unsigned int i = 0; i < n_arenas; i++) {
		fillers[i] = (struct filler){ .bytes = bytes / n_arenas, .seed = i + 1 };
		if (pthread_create(&fillers[i].thread, NULL, fill, &fillers[i]) != 0)
			die("thread");
	}
	pthread_barrier_wait(&freed);
}

static void hold(void)
{
	char *block = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (block == MAP_FAILED)
		die("memory");
	for (uint64_t at = 0; at < BLOCK_BYTES; at += PAGE_BYTES)
		block[at] = 'g';
}

static void wait_until(uint64_t at_usec)
{
	const struct timespec ts = {
		.tv_sec = (time_t)(at_usec / USEC_PER_SEC),
		.tv_nsec = (long)(at_usec % USEC_PER_SEC * 1000),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* Catches up when it was held up, so that the rate is kept on the whole. */
static void grow(uint64_t from_bytes, uint64_t to_bytes, uint64_t bytes_per_sec)
{
	const uint64_t begin_usec = now_usec(), half_bytes = (to_bytes - from_bytes) / 2;
	uint64_t grown = 0, half_usec = 0;

	for (; from_bytes + grown < to_bytes; grown += BLOCK_BYTES) {
		wait_until(begin_usec + grown * USEC_PER_SEC / bytes_per_sec);
		if (half_usec == 0 && grown >= half_bytes)
			half_usec = now_usec();
		hold();
	}

	printf("reached %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (from_bytes + grown) / MIB,
	       (now_usec() - begin_usec) / 1000, (half_usec - begin_usec) / 1000);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t held = 0, begin_bytes;
	char line[16];

	if (argc != 6 || atoi(argv[2]) < 0 || atoi(argv[2]) > ARENAS_MAX || atoll(argv[5]) < 1) {
		fputs("Usage: grower RETAIN_MIB ARENAS BEGIN_MIB TO_MIB KIB_PER_SEC\n", stderr);
		return 2;
	}

	retain((uint64_t)atoll(argv[1]) * MIB, (unsigned int)atoi(argv[2]));
	begin_bytes = (uint64_t)atoll(argv[3]) * MIB;
	for (; held < begin_bytes; held += BLOCK_BYTES)
		hold();

	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin))
		grow(held, (uint64_t)atoll(argv[4]) * MIB, (uint64_t)atoll(argv[5]) * KIB);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
