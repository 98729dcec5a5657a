/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program whose heap is full of holes, and whose threads are busy: what does a release
 * do to them? Fills arenas with blocks, frees them so that holes remain, each between two
 * small live blocks, then has busy threads allocate, free (also each other's blocks) and,
 * if wanted, fork, while it takes words on standard input:
 *
 *	mark     begins a measurement
 *	worst    tells the longest malloc, free and fork since, in microseconds, and RSS; and
 *	         the longest call not counting what it waited for a processor
 *	trim     calls malloc_trim(0) in the process, and tells what it took
 *	spin MS  uses so much of a processor in the way of a release, and touches no heap
 *	quit
 *
 *	stall --total=MIB --arenas=N --holes=MIN:MAX [--busy=N] [--fork] [--sorted]
 *	      [--tops=MIB] [--survivors=PERCENT]
 */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIN_BYTES 64
#define RING 256
#define THREADS_MAX 512
#define LOOK_NSEC 100000
#define LONG_NSEC 200000

static struct {
	size_t total_mib, tops_mib;
	unsigned int n_arenas, n_busy, survivors;
	size_t min, max;
	bool forks, sorted;
} options = { .total_mib = 256, .n_arenas = 8, .n_busy = 2, .min = 65536, .max = 65536 };

static pthread_barrier_t filled, freed;
static _Atomic uint64_t worst_malloc, worst_free, worst_fork, worst_own, n_operations;
static _Atomic bool running = true;

/* Blocks on their way from one busy thread to another, who frees them. */
static _Atomic(void *) ring[RING];

/* A compiler takes away what it sees nobody use. Never read: other threads write it too. */
static void *volatile seen;

static uint64_t clock_nsec(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_nsec(void)
{
	return clock_nsec(CLOCK_MONOTONIC);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void note(_Atomic uint64_t *worst, uint64_t nsec)
{
	uint64_t old = atomic_load_explicit(worst, memory_order_relaxed);

	while (nsec > old && !atomic_compare_exchange_weak(worst, &old, nsec))
		;
}

/* For how long the calling thread was ready to run and had no processor. */
static uint64_t queued_nsec(void)
{
	static __thread int fd = -1;
	unsigned long long ran, queued;
	char text[64] = "";

	if (fd < 0)
		fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || sscanf(text, "%llu %llu", &ran, &queued) != 2)
		return 0;

	return queued;
}

/* To ask before each call would be most of the work: so now and then, and after a long one. */
static void note_call(_Atomic uint64_t *worst, uint64_t begin, uint64_t end)
{
	static __thread uint64_t looked, queued;
	const uint64_t nsec = end - begin;
	uint64_t now_queued, waited;

	note(worst, nsec);
	if (end - looked < LOOK_NSEC && nsec < LONG_NSEC)
		return;

	now_queued = queued_nsec();
	waited = now_queued - queued;
	if (nsec >= LONG_NSEC && looked > 0 && waited < nsec)
		note(&worst_own, nsec - waited);
	queued = now_queued;
	looked = now_nsec();
}

static void *timed_malloc(size_t bytes)
{
	const uint64_t begin = now_nsec();
	void *p = malloc(bytes);

	note_call(&worst_malloc, begin, now_nsec());
	return p;
}

static void timed_free(void *p)
{
	const uint64_t begin = now_nsec();

	free(p);
	note_call(&worst_free, begin, now_nsec());
}

static void *seen_malloc(size_t bytes)
{
	void *p = malloc(bytes);

	seen = p;
	return p;
}

/* Holes of options.min to .max bytes between small live blocks. */
static void fill(uint64_t *seed)
{
	const size_t share = (options.total_mib << 20) / options.n_arenas;
	size_t n = share / ((options.min + options.max) / 2 + PIN_BYTES) + 1, bytes = 0, i;
	void **blocks = calloc(2 * n, sizeof(*blocks));
	void *top = NULL;

	for (i = 0; i < n && bytes < share; i++) {
		const size_t size = options.min + next_random(seed) % (options.max - options.min + 1);

		blocks[i] = malloc(size);
		memset(blocks[i], 1, size);
		memset(seen_malloc(PIN_BYTES), 1, PIN_BYTES);
		bytes += size + PIN_BYTES;
	}
	if (options.tops_mib) {
		/* Below glibc's threshold for mappings, and at the end of the heap. */
		for (size_t j = 0; j < options.tops_mib * 16; j++) {
			void *piece = malloc(65536 - 64);

			memset(piece, 1, 65536 - 64);
			*(void **)piece = top;
			top = piece;
		}
	}

	pthread_barrier_wait(&filled);
	for (size_t j = 0; j < i; j++)
		if (next_random(seed) % 100 >= options.survivors)
			free(blocks[j]);
	while (top) {
		void *next = *(void **)top;

		free(top);
		top = next;
	}
	free(blocks);
	/* A few allocations sort what is free into bins. */
	for (int j = 0; options.sorted && j < 64; j++)
		free(seen_malloc(2000));
	pthread_barrier_wait(&freed);
}

static void work(uint64_t *seed)
{
	void *mine[64] = { NULL };

	while (atomic_load_explicit(&running, memory_order_relaxed)) {
		const uint64_t r = next_random(seed);
		const size_t size = r % 8 ? 16 + r % 2000 : 2000 + (r >> 20) % 30000;
		const unsigned int i = (unsigned int)(r >> 8) % 64;
		void *p;

		if (mine[i])
			timed_free(mine[i]);
		mine[i] = timed_malloc(size);
		if (mine[i])
			*(char *)mine[i] = 1;
		if ((r >> 40) % 4 == 0) {
			p = atomic_exchange(&ring[(r >> 48) % RING], mine[i]);
			mine[i] = NULL;
			if (p)
				timed_free(p);
		}
		atomic_fetch_add_explicit(&n_operations, 1, memory_order_relaxed);
	}
}

static void *thread_main(void *arg)
{
	const uintptr_t number = (uintptr_t)arg;
	uint64_t seed = 88172645463325252ULL + number * 7919;

	fill(&seed);
	if (number < options.n_busy)
		work(&seed);
	else
		for (;;)
			pause();

	return NULL;
}

static void *fork_often(void *arg)
{
	(void)arg;
	while (atomic_load(&running)) {
		const uint64_t begin = now_nsec();
		const pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		note(&worst_fork, now_nsec() - begin);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		usleep(20000);
	}

	return NULL;
}

static size_t rss_mib(void)
{
	size_t size = 0, pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%zu %zu", &size, &pages) != 2)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

static void do_trim(void)
{
	struct rusage before, after;
	const uint64_t begin = now_nsec();
	uint64_t took;

	getrusage(RUSAGE_THREAD, &before);
	malloc_trim(0);
	took = now_nsec() - begin;
	getrusage(RUSAGE_THREAD, &after);
	printf("trimmed %.1f ms, cpu %.1f ms\n", (double)took / 1e6,
	       (double)((after.ru_utime.tv_sec - before.ru_utime.tv_sec +
			 after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
			after.ru_utime.tv_usec - before.ru_utime.tv_usec +
			after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e3);
}

/* As libhook/borrow.c does: work, then a short rest. */
static void do_spin(double msec)
{
	const struct timespec rest = { 0, 50000 };
	const uint64_t begin = clock_nsec(CLOCK_THREAD_CPUTIME_ID);

	while ((double)(clock_nsec(CLOCK_THREAD_CPUTIME_ID) - begin) / 1e6 < msec) {
		const uint64_t work = now_nsec();

		while (now_nsec() - work < 300000)
			;
		nanosleep(&rest, NULL);
	}
	puts("spun");
}

static void serve(void)
{
	char line[64];

	printf("ready %d rss %zu\n", (int)getpid(), rss_mib());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "mark\n") == 0) {
			worst_malloc = worst_free = worst_fork = worst_own = n_operations = 0;
			puts("marked");
		} else if (strcmp(line, "worst\n") == 0) {
			printf("malloc %.1f free %.1f fork %.1f own %.1f usec, operations %llu, rss %zu\n",
			       (double)worst_malloc / 1e3, (double)worst_free / 1e3, (double)worst_fork / 1e3,
			       (double)worst_own / 1e3, (unsigned long long)n_operations, rss_mib());
		} else if (strcmp(line, "trim\n") == 0) {
			do_trim();
		} else if (strncmp(line, "spin ", 5) == 0) {
			do_spin(atof(line + 5));
		} else {
			break;
		}
		fflush(stdout);
	}
}

static bool parse_option(const char *s)
{
	if (strcmp(s, "--fork") == 0)
		options.forks = true;
	else if (strcmp(s, "--sorted") == 0)
		options.sorted = true;
	else
		return sscanf(s, "--total=%zu", &options.total_mib) == 1 ||
		       sscanf(s, "--tops=%zu", &options.tops_mib) == 1 ||
		       sscanf(s, "--arenas=%u", &options.n_arenas) == 1 ||
		       sscanf(s, "--busy=%u", &options.n_busy) == 1 ||
		       sscanf(s, "--survivors=%u", &options.survivors) == 1 ||
		       sscanf(s, "--holes=%zu:%zu", &options.min, &options.max) == 2;

	return true;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	for (int i = 1; i < argc; i++)
		if (!parse_option(argv[i])) {
			fprintf(stderr, "%s: no such option\n", argv[i]);
			return 2;
		}
	if (options.n_arenas < 1 || options.n_arenas > THREADS_MAX || options.max < options.min) {
		fprintf(stderr, "stall: such numbers make no heap\n");
		return 2;
	}

	/* Everything in arenas: no chunk with a mapping of its own, no thresholds that move. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	mallopt(M_ARENA_MAX, (int)options.n_arenas + (options.n_arenas > 1));
	pthread_barrier_init(&filled, NULL, options.n_arenas);
	pthread_barrier_init(&freed, NULL, options.n_arenas + 1);
	for (uintptr_t i = 0; i < options.n_arenas; i++)
		pthread_create(&thread, NULL, thread_main, (void *)i);
	pthread_barrier_wait(&freed);
	if (options.forks)
		pthread_create(&thread, NULL, fork_often, NULL);
	serve();
	running = false;
	fflush(stdout);
	_exit(0);
}
