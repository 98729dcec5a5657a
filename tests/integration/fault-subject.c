/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program for the hook's fault tests: its threads fill a heap and free most of it; what
 * is left is full of canaries. Then it does what the lines of its input say, and ends with
 * its input: with status 7 when no byte has changed.
 *
 *	fault-subject MIB [THREADS]    MIB for each thread
 *	fault-subject after            what "exec" makes of it
 */

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_FIRST 4
#define THREADS_MORE 4
#define THREADS_MAX (THREADS_FIRST + 2 * THREADS_MORE)
#define PIECE_BYTES 8000
#define PIECES_PER_MIB ((1 << 20) / PIECE_BYTES)

/* Of so many pieces one stays: holes of 39 KiB. */
#define ONE_OF 6

#define STATUS 7
#define STORM_THREADS 2
#define REFUSALS 300
#define STORM_STEPS_MIN 5

/* Nobody waits longer for a child, unless something hangs. */
#define CHILD_LIMIT_SEC 60

static unsigned char **pieces[THREADS_MAX];
static size_t n_pieces, n_threads; /* that have filled theirs */
static atomic_int n_ready;
static atomic_bool storming;
static atomic_ulong n_steps;
static pthread_t storm_threads[STORM_THREADS];

static unsigned char canary(size_t thread, size_t piece, size_t i)
{
	return (unsigned char)(thread * 31 + piece * 7 + i + 1);
}

static void *fill(void *arg)
{
	const size_t thread = (size_t)arg;
	unsigned char **mine = pieces[thread];

	for (size_t i = 0; i < n_pieces; i++) {
		mine[i] = malloc(PIECE_BYTES);
		if (!mine[i])
			abort();
		for (size_t j = 0; j < PIECE_BYTES; j++)
			mine[i][j] = canary(thread, i, j);
	}
	for (size_t i = 0; i < n_pieces; i++)
		if (i % ONE_OF != 0) {
			free(mine[i]);
			mine[i] = NULL;
		}

	n_ready++;
	for (;;)
		pause();
	return NULL;
}

static bool is_whole(void)
{
	for (size_t t = 0; t < n_threads; t++)
		for (size_t i = 0; i < n_pieces; i += ONE_OF)
			for (size_t j = 0; j < PIECE_BYTES; j++)
				if (pieces[t][i][j] != canary(t, i, j))
					return false;
	return true;
}

/* What the allocator has handed out, and to whom is another matter: by its own account. */
static size_t in_use(void)
{
	size_t fast = 0, rest = 0, current = 0, length = 0;
	char *text = NULL, *s;
	FILE *file = open_memstream(&text, &length);

	if (!file || malloc_info(0, file) != 0 || fclose(file) != 0)
		return 0;

	/* The sums of all arenas follow the last of them. */
	s = strrchr(text, 'h');
	while (s && s > text && strncmp(s, "</heap>", 7) != 0)
		s--;
	if (s && (s = strstr(s, "<total type=\"fast\"")))
		sscanf(s, "<total type=\"fast\" count=\"%*u\" size=\"%zu\"", &fast);
	if (s && (s = strstr(s, "<total type=\"rest\"")))
		sscanf(s, "<total type=\"rest\" count=\"%*u\" size=\"%zu\"", &rest);
	if (s && (s = strstr(s, "<system type=\"current\"")))
		sscanf(s, "<system type=\"current\" size=\"%zu\"", &current);
	free(text);
	return current - fast - rest;
}

static int use_heap(size_t seed)
{
	void *blocks[32];
	int bad = 0;

	for (size_t i = 0; i < 32; i++) {
		blocks[i] = malloc(100 + (seed * 37 + i * 997) % 30000);
		if (!blocks[i])
			return 1;
		*(volatile size_t *)blocks[i] = seed + i;
	}
	for (size_t i = 0; i < 32; i++) {
		bad |= *(volatile size_t *)blocks[i] != seed + i;
		free(blocks[i]);
	}

	return bad;
}

static bool fork_one(size_t seed)
{
	int status = -1;
	const pid_t pid = fork();

	if (pid == 0) {
		alarm(CHILD_LIMIT_SEC);
		_exit(use_heap(seed));
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

static void *short_life(void *arg)
{
	return (void *)(uintptr_t)use_heap((size_t)arg);
}

static bool start_one(size_t seed)
{
	pthread_t thread;
	void *bad = (void *)1;

	if (pthread_create(&thread, NULL, short_life, (void *)seed) != 0)
		return false;
	pthread_join(thread, &bad);
	return bad == NULL;
}

static bool load_one(size_t seed)
{
	static const char *const names[] = { "libm.so.6", "libresolv.so.2", "libz.so.1" };
	void *library = dlopen(names[seed % 3], RTLD_NOW);

	/* The last is not on every machine. */
	return library ? dlclose(library) == 0 : seed % 3 == 2;
}

static void *storm(void *arg)
{
	bool (*step)(size_t) = (bool (*)(size_t))arg;

	while (storming) {
		if (!step(++n_steps)) {
			dprintf(1, "BAD step\n");
			_exit(1);
		}
		usleep(1000);
	}

	return NULL;
}

static void storm_start(const char *what)
{
	bool (*step)(size_t) = NULL;

	if (strcmp(what, "fork") == 0)
		step = fork_one;
	if (strcmp(what, "threads") == 0)
		step = start_one;
	if (strcmp(what, "load") == 0)
		step = load_one;

	storming = true;
	n_steps = 0;
	for (int i = 0; i < STORM_THREADS; i++)
		if (pthread_create(&storm_threads[i], NULL, storm, (void *)step) != 0)
			abort();
	while (n_steps < STORM_STEPS_MIN)
		usleep(1000);
	printf("storms\n");
}

static void storm_stop(void)
{
	storming = false;
	for (int i = 0; i < STORM_THREADS; i++)
		pthread_join(storm_threads[i], NULL);
	printf("stormed %lu\n", n_steps);
}

/* To be sure that nothing of the old image ends the new one. */
static void become_another(const char *self)
{
	execl(self, self, "after", (char *)NULL);
	_exit(1);
}

static bool fill_heaps(size_t n)
{
	for (size_t t = n_threads; t < n_threads + n; t++) {
		pthread_t thread;

		pieces[t] = calloc(n_pieces, sizeof(*pieces[t]));
		if (!pieces[t] || pthread_create(&thread, NULL, fill, (void *)t) != 0)
			return false;
	}
	n_threads += n;
	while (n_ready < (int)n_threads)
		usleep(1000);
	return true;
}

/*
 * Refused in three ways in turn: before anything was made, for a processor that the thread cannot
 * have, of which libc hears when it is there already, and by the limit.
 */
static bool is_refused(int way)
{
	struct rlimit limit;
	pthread_attr_t attr;
	cpu_set_t nowhere;
	pthread_t thread;
	int r;

	if (getrlimit(RLIMIT_NPROC, &limit) < 0 || pthread_attr_init(&attr) != 0)
		return false;
	CPU_ZERO(&nowhere);
	CPU_SET(CPU_SETSIZE - 1, &nowhere);
	if (way == 0)
		pthread_attr_setstacksize(&attr, SIZE_MAX / 4);
	if (way == 1)
		pthread_attr_setaffinity_np(&attr, sizeof(nowhere), &nowhere);
	if (way == 2)
		setrlimit(RLIMIT_NPROC, &(struct rlimit){ .rlim_cur = 1, .rlim_max = limit.rlim_max });
	r = pthread_create(&thread, &attr, short_life, NULL);
	pthread_attr_destroy(&attr);
	return setrlimit(RLIMIT_NPROC, &limit) == 0 && r != 0;
}

/* With more room than it needs. */
static void limit_addresses(void)
{
	const struct rlimit limit = { .rlim_cur = (rlim_t)1 << 45, .rlim_max = RLIM_INFINITY };

	printf("%s\n", setrlimit(RLIMIT_AS, &limit) == 0 ? "limited" : "BAD");
}

static void refuse(void)
{
	int n = 0;

	for (int i = 0; i < REFUSALS; i++)
		n += is_refused(i % 3);
	printf("refused %d\n", n);
}

static void obey(const char *self, const char *line)
{
	if (strcmp(line, "check") == 0)
		printf("%s\n", is_whole() && use_heap(1) == 0 ? "whole" : "BAD");
	else if (strcmp(line, "held") == 0)
		printf("held %zu\n", in_use());
	else if (strcmp(line, "stop") == 0)
		storm_stop();
	else if (strcmp(line, "refuse") == 0)
		refuse();
	else if (strcmp(line, "limit") == 0)
		limit_addresses();
	else if (strcmp(line, "more") == 0)
		printf("%s\n", n_threads + THREADS_MORE <= THREADS_MAX && fill_heaps(THREADS_MORE) ? "more" : "BAD");
	else if (strcmp(line, "exit") == 0)
		exit(STATUS);
	else if (strcmp(line, "exec") == 0)
		become_another(self);
	else
		storm_start(line);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	size_t n = THREADS_FIRST;
	char line[64];

	if (argc < 2 || argc > 3)
		return 2;
	if (strcmp(argv[1], "after") == 0) {
		puts("after exec");
		return STATUS;
	}

	n_pieces = (size_t)atoi(argv[1]) * PIECES_PER_MIB;
	if (argc > 2)
		n = (size_t)atoi(argv[2]);
	if (n > THREADS_FIRST || !fill_heaps(n))
		return 1;

	/* What it needs for the first time is not to count the second time. */
	(void)in_use();
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		obey(argv[0], line);
	}

	return is_whole() ? STATUS : 1;
}
