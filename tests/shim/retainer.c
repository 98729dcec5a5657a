/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that ratchets: threads allocate much in many sizes, free nearly all of it, and
 * wait. What stays in use pins the heaps, so the allocator keeps the rest.
 *
 *	retainer MIB [THREADS]
 *
 * Prints "retained" when all is freed; then each line on standard input runs another burst,
 * and its end ends the program with status 0.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64
#define KEPT_ONE_IN 200

struct worker {
	pthread_t thread;
	size_t bytes;
	unsigned int seed;
};

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 8;
}

static void *burst(void *arg)
{
	struct worker *worker = arg;
	size_t n = 0, size = worker->bytes / 4096 + 1, held = 0;
	void **chunks = calloc(size, sizeof(*chunks));

	if (!chunks)
		return NULL;

	while (held < worker->bytes && n < size) {
		const size_t bytes = 512 + next_random(&worker->seed) % 16384;

		chunks[n] = malloc(bytes);
		if (!chunks[n])
			break;
		memset(chunks[n++], 'm', bytes);
		held += bytes;
	}

	for (size_t i = 0; i < n; i++)
		if (i % KEPT_ONE_IN != 0)
			free(chunks[i]);

	free(chunks);
	return NULL;
}

static int run_burst(struct worker *workers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&workers[i].thread, NULL, burst, &workers[i]) != 0)
			return -1;

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
	char line[16];

	if (n < 1 || n > THREADS_MAX || mib < 1) {
		fputs("Usage: retainer MIB [THREADS]\n", stderr);
		return 2;
	}

	for (size_t i = 0; i < n; i++)
		workers[i] = (struct worker){ .bytes = (mib << 20) / n, .seed = (unsigned int)i + 1 };

	do
		if (run_burst(workers, n) != 0)
			return 1;
	while (fgets(line, sizeof(line), stdin));

	return 0;
}
