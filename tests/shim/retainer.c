/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that ratchets: threads allocate much in many sizes, free nearly all of it, and
 * wait. What stays in use pins the heaps, so the allocator keeps the rest.
 *
 *	retainer MIB [THREADS [hold|grow=MIB]]
 *
 * Prints "retained" when all is freed; then each line on standard input runs another burst,
 * and its end ends the program with status 0. With "hold" it first prints "held" and waits for
 * a line before it frees. With "grow=MIB" it is busy from then on with looking at how much it has
 * resident, and takes so much when that falls: it grows while somebody releases it. Whoever borrows
 * from it gets no further before it has grown and he was asked for something else.
 */

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_MAX 64
#define KEPT_ONE_IN 200
#define GROWING_KEPT_ONE_IN 2 /* very many holes, so that a release takes its time */
#define GROWS_AFTER_BYTES ((size_t)4 << 20)

struct worker {
	pthread_t thread;
	size_t bytes;
	unsigned int seed;
};

/* Passed by all threads when they have all that they take: else one that begins late takes what is free
 * in the arena of one that has ended, and less is retained. */
static pthread_barrier_t filled;
/* Passed twice by all threads and main(): when all is held, and when it is to be freed. */
static pthread_barrier_t stage;
static bool holds;
static size_t grow_mib, dropped_bytes;

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 8;
}

static size_t resident_bytes(void)
{
	size_t size = 0, pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%zu %zu", &size, &pages) != 2)
		exit(1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void *grow(void *arg)
{
	const size_t bytes = grow_mib << 20, before = resident_bytes();
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (memory == MAP_FAILED)
		exit(1);

	while (resident_bytes() + GROWS_AFTER_BYTES > before)
		;
	memset(memory, 'g', bytes);
	puts("grown");
	fflush(stdout);
	return NULL;
}

/* The hook's thread has descriptors of its own, the daemon's connection among them. */
static int find_connection(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		socklen_t size = sizeof(int);
		int type = 0;

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET)
			return fd;
	}

	return -1;
}

/* At work all the time, for all that the daemon can see. */
static void await_question(void)
{
	struct pollfd connection = { find_connection(), POLLIN, 0 };

	while (poll(&connection, 1, 0) == 0)
		;
}

/*
 * In front of libc's, for the hook alone: libc calls its own by another name. Once so much is dropped
 * that we grow, this takes until the hook is asked for something else.
 */
__attribute__((visibility("default"))) int madvise(void *address, size_t bytes, int advice)
{
	static bool asked;
	const int r = (int)syscall(SYS_madvise, address, bytes, (long)advice);

	if (grow_mib > 0 && advice == MADV_DONTNEED)
		dropped_bytes += bytes;
	if (dropped_bytes >= 2 * GROWS_AFTER_BYTES && !asked) {
		await_question();
		asked = true;
	}

	return r;
}

static void *burst(void *arg)
{
	struct worker *worker = arg;
	size_t n = 0, size = worker->bytes / 4096 + 1, held = 0;
	void **chunks = calloc(size, sizeof(*chunks));

	if (!chunks)
		exit(1);

	while (held < worker->bytes && n < size) {
		const size_t bytes = 512 + next_random(&worker->seed) % 16384;

		chunks[n] = malloc(bytes);
		if (!chunks[n])
			break;
		memset(chunks[n++], 'm', bytes);
		held += bytes;
	}

	pthread_barrier_wait(&filled);
	if (holds) {
		pthread_barrier_wait(&stage);
		pthread_barrier_wait(&stage);
	}
	for (size_t i = 0; i < n; i++)
		if (i % (grow_mib > 0 ? GROWING_KEPT_ONE_IN : KEPT_ONE_IN) != 0)
			free(chunks[i]);

	free(chunks);
	return NULL;
}

static void hold(void)
{
	char line[16];

	pthread_barrier_wait(&stage);
	puts("held");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
	pthread_barrier_wait(&stage);
}

static int run_burst(struct worker *workers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&workers[i].thread, NULL, burst, &workers[i]) != 0)
			return -1;

	if (holds)
		hold();
	for (size_t i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);

	puts("retained");
	return fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	const size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 128;
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
	pthread_t grower;
	char line[16];

	holds = argc > 3 && strcmp(argv[3], "hold") == 0;
	if (argc > 3 && !holds && sscanf(argv[3], "grow=%zu", &grow_mib) != 1)
		n = 0;
	if (n < 1 || n > THREADS_MAX || mib < 1 ||
	    pthread_barrier_init(&filled, NULL, (unsigned int)n) != 0 ||
	    pthread_barrier_init(&stage, NULL, (unsigned int)n + 1) != 0) {
		fputs("Usage: retainer MIB [THREADS [hold|grow=MIB]]\n", stderr);
		return 2;
	}

	for (size_t i = 0; i < n; i++)
		workers[i] = (struct worker){ .bytes = (mib << 20) / n, .seed = (unsigned int)i + 1 };

	do
		if (run_burst(workers, n) != 0 ||
		    (grow_mib > 0 && pthread_create(&grower, NULL, grow, NULL) != 0))
			return 1;
	while (fgets(line, sizeof(line), stdin));

	return 0;
}
