/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program for hook-allocators.py: threads that fill the heap, free nearly all of it, and
 * then either wait for ever or end. Says what it did, and on each line of its input does a
 * little more work and counts what it kept. ALLOCATE and RELEASE name another allocator
 * than malloc's, when it is compiled so.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef ALLOCATE
extern void *ALLOCATE(size_t);
extern void RELEASE(void *);
#else
#define ALLOCATE malloc
#define RELEASE free
#endif

#define N_THREADS 4
#define N_PIECES 20000
#define KEEP_EVERY 997

/* What takes longer is a hang. */
#define LIMIT_SEC 120

static pthread_barrier_t full, freed;
static char *kept[N_THREADS][N_PIECES / KEEP_EVERY + 1];
static int stay;

static size_t next_size(unsigned int *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return 100 + (*seed >> 16) % 4000;
}

static void *work(void *arg)
{
	const size_t nr = (size_t)(char *)arg;
	unsigned int seed = (unsigned int)nr + 1;
	char **pieces = ALLOCATE(N_PIECES * sizeof(*pieces));

	if (!pieces)
		_exit(1);
	for (int i = 0; i < N_PIECES; i++) {
		const size_t size = next_size(&seed);

		pieces[i] = ALLOCATE(size);
		if (!pieces[i])
			_exit(1);
		memset(pieces[i], (int)nr + 1, size);
	}

	pthread_barrier_wait(&full);
	for (int i = 0; i < N_PIECES; i++) {
		if (i % KEEP_EVERY == 0)
			kept[nr][i / KEEP_EVERY] = pieces[i];
		else
			RELEASE(pieces[i]);
	}
	RELEASE(pieces);
	pthread_barrier_wait(&freed);
	while (stay)
		pause();

	return NULL;
}

/* What was kept is as it was, and there is still memory to be had. */
static int count_good(void)
{
	unsigned int seed = 7;
	int n = 0;

	for (int i = 0; i < 1000; i++) {
		char *volatile p = ALLOCATE(next_size(&seed));

		if (!p)
			return -1;
		p[0] = 1;
		RELEASE(p);
	}

	for (int i = 0; i < N_THREADS; i++)
		for (int j = 0; j < N_PIECES / KEEP_EVERY + 1; j++)
			n += kept[i][j] && kept[i][j][0] == i + 1 && kept[i][j][99] == i + 1;

	return n;
}

int main(int argc, char **argv)
{
	pthread_t threads[N_THREADS];
	char line[64];

	alarm(LIMIT_SEC);
	stay = argc > 1 && strcmp(argv[1], "stay") == 0;
	pthread_barrier_init(&full, NULL, N_THREADS);
	pthread_barrier_init(&freed, NULL, N_THREADS + 1);
	for (size_t i = 0; i < N_THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (char *)NULL + i) != 0)
			return 1;

	pthread_barrier_wait(&freed);
	for (int i = 0; !stay && i < N_THREADS; i++)
		pthread_join(threads[i], NULL);

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		printf("good %d\n", count_good());
		fflush(stdout);
	}

	return 0;
}
