/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Programs with known diseases, one for each mode:
 *
 *	leak       keeps a part of each step for ever
 *	fill       a cache that fills, step by step, until it is full
 *	sawtooth   grows over five steps and gives all of that back
 *	steady     works, and holds the same at each end of a step
 *	holes      frees three of four small chunks: no page of it is free
 *	burst      frees nearly all of a burst in threads
 *	huge       frees nearly all of a heap in huge pages
 *	parts      drops all but a little of each of its huge pages itself, and grows
 *	map        maps memory directly
 *	shared     writes to a memfd, and maps nothing of it
 *	pipes      writes to pipes that nobody reads
 *	stacks     many threads that have used their stacks
 *	beside     a jemalloc of its own, loaded beside glibc
 *	fork       a server whose children share its heap
 *	pageout    has its memory swapped out
 *
 * Prints "ready", then takes one step for each line of input and prints "step"; its end ends
 * the program.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define CHUNK 3000UL

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* A compiler takes away what it sees nobody use. */
static void *volatile seen;

/* Never freed. */
static void *allocate(size_t bytes)
{
	for (size_t n = 0; n < bytes; n += CHUNK) {
		void **chunk = malloc(CHUNK);

		if (!chunk)
			abort();
		memset(chunk, 'k', CHUNK);
		seen = chunk;
	}

	return NULL;
}

/* A list of chunks, so that they can be freed. */
static void **hold(void **list, size_t bytes)
{
	for (size_t n = 0; n < bytes; n += CHUNK) {
		void **chunk = malloc(CHUNK);

		if (!chunk)
			abort();
		memset(chunk, 'h', CHUNK);
		*chunk = list;
		list = chunk;
	}

	return list;
}

static void give_back(void **list)
{
	while (list) {
		void **next = *list;

		free(list);
		list = next;
	}
}

/* Frees all but every @keep-th chunk of @size bytes. */
static void leave(size_t bytes, size_t size, size_t keep)
{
	const size_t n = bytes / size;
	char **chunks = malloc(n * sizeof(*chunks));

	if (!chunks)
		abort();
	for (size_t i = 0; i < n; i++) {
		chunks[i] = malloc(size);
		memset(chunks[i], 'c', size);
		seen = chunks[i];
	}
	for (size_t i = 0; i < n; i++)
		if (i % keep != 0)
			free(chunks[i]);
	free(chunks);
}

static void *burst(void *arg)
{
	(void)arg;
	leave(64 * MIB, 6000, 200);
	return NULL;
}

static void *nap(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

/* So that the hook has its thread in a program that needs none. */
static void start_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nap, NULL) != 0)
		abort();
}

static void bursts(void)
{
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, burst, NULL) != 0)
			abort();
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void *use_stack(void *barrier)
{
	char deep[4 * MIB];

	memset(deep, 's', sizeof(deep));
	__asm__ volatile("" : : "r"(deep) : "memory");
	pthread_barrier_wait(barrier);
	pause();
	return NULL;
}

static void stacks(void)
{
	static pthread_barrier_t barrier;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 41);
	for (int i = 0; i < 40; i++)
		if (pthread_create(&thread, NULL, use_stack, &barrier) != 0)
			abort();
	pthread_barrier_wait(&barrier);
}

static void *map(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	memset(p, 'm', bytes);
	return p;
}

/* No file is open of what is mapped, and nothing is mapped of what is open. */
static int fill_memfd(size_t bytes)
{
	static char text[MIB];
	const int fd = memfd_create("verdict-subject", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	memset(text, 's', sizeof(text));
	for (size_t n = 0; n < bytes; n += sizeof(text))
		if (write(fd, text, sizeof(text)) != (ssize_t)sizeof(text))
			return -1;
	return 0;
}

static int fill_pipes(size_t bytes)
{
	static char text[MIB];
	int fds[2];

	for (size_t n = 0; n < bytes; n += sizeof(text))
		if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ||
		    fcntl(fds[1], F_SETPIPE_SZ, sizeof(text)) < (int)sizeof(text) ||
		    write(fds[1], text, sizeof(text)) != (ssize_t)sizeof(text))
			return -1;
	return 0;
}

static int beside(void)
{
	void *library = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	void *(*other)(size_t, int) = NULL;

	if (library)
		*(void **)&other = dlsym(library, "mallocx");
	if (!other)
		return -1;
	for (size_t n = 0; n < 160 * MIB; n += 64 * 1024)
		memset(other(64 * 1024, 0), 'j', 64 * 1024);
	return 0;
}

static void serve_by_forks(void)
{
	allocate(160 * MIB);
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
}

/* The kernel may find a page busy. */
static int collapse(void *p, size_t bytes)
{
	int r = -1;

	for (int i = 0; i < 100 && r < 0; i++) {
		r = madvise(p, bytes, MADV_COLLAPSE);
		if (r < 0 && errno != EAGAIN && errno != EBUSY)
			break;
	}

	return r;
}

/* As khugepaged makes them in time of a program that lives for long. */
static int make_huge(void)
{
	const unsigned long low = ((unsigned long)sbrk(0) + 4095) & ~4095UL;

	leave(192 * MIB, 6000, 200);
	return collapse((void *)low, ((unsigned long)sbrk(0) - low) & ~4095UL);
}

static int drop_parts(void)
{
	const unsigned long huge = 2 * MIB;
	char *p = map(202 * MIB);

	p = (char *)(((unsigned long)p + huge - 1) & ~(huge - 1));
	if (collapse(p, 200 * MIB) < 0)
		return -1;
	for (size_t i = 0; i < 100; i++)
		if (madvise(p + i * huge + MIB / 16, huge - MIB / 16, MADV_DONTNEED) < 0)
			return -1;
	return 0;
}

static int page_out(void)
{
	const unsigned long low = ((unsigned long)sbrk(0) + 4095) & ~4095UL;

	allocate(160 * MIB);
	return madvise((void *)low, ((unsigned long)sbrk(0) - low) & ~4095UL, MADV_PAGEOUT);
}

static int begin(const char *mode)
{
	if (strcmp(mode, "holes") == 0)
		leave(256 * MIB, 1000, 4);
	else if (strcmp(mode, "burst") == 0)
		bursts();
	else if (strcmp(mode, "huge") == 0)
		return make_huge();
	else if (strcmp(mode, "parts") == 0)
		return drop_parts();
	else if (strcmp(mode, "map") == 0)
		map(160 * MIB);
	else if (strcmp(mode, "shared") == 0)
		return fill_memfd(160 * MIB);
	else if (strcmp(mode, "pipes") == 0)
		return fill_pipes(160 * MIB);
	else if (strcmp(mode, "stacks") == 0)
		stacks();
	else if (strcmp(mode, "beside") == 0)
		return beside();
	else if (strcmp(mode, "fork") == 0)
		serve_by_forks();
	else if (strcmp(mode, "pageout") == 0)
		return page_out();
	else if (strcmp(mode, "steady") == 0)
		allocate(160 * MIB);
	else
		allocate(64 * MIB);

	return 0;
}

static void step(const char *mode, int n)
{
	static void **list;

	if (strcmp(mode, "leak") == 0)
		allocate(8 * MIB);
	if (strcmp(mode, "parts") == 0)
		allocate(40 * MIB);
	if (strcmp(mode, "fill") == 0 && n <= 8)
		allocate(8 * MIB);
	if (strcmp(mode, "steady") == 0)
		give_back(hold(NULL, 8 * MIB));
	if (strcmp(mode, "sawtooth") == 0) {
		list = hold(list, 16 * MIB);
		if (n % 5 == 0) {
			give_back(list);
			list = NULL;
		}
	}
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc != 2) {
		fputs("Usage: verdict-subject MODE\n", stderr);
		return 2;
	}

	start_thread();
	if (begin(argv[1]) < 0) {
		puts("cannot");
		return 0;
	}

	puts("ready");
	fflush(stdout);
	for (int n = 1; fgets(line, sizeof(line), stdin); n++) {
		step(argv[1], n);
		puts("step");
		fflush(stdout);
	}

	return 0;
}
