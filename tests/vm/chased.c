/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that grows by what is released of it, twice as fast: however slow the machine is,
 * one who only borrows from it sees its memory grow.
 *
 *	chased HELD_MIB RETAINED_MIB GROWTH_MIB
 *
 * Holds so much, and has freed so much in small holes, all in one arena; prints "retained". Then
 * it is busy with looking at how much it has resident, and takes two for each that has gone, up
 * to GROWTH_MIB; a line on standard input lets it take the rest at once. Prints "grown" with how
 * much had gone when it had all of it; the end of the input ends it.
 *
 * It takes by malloc(), which waits while somebody holds the lock of its arena: so a full trim,
 * which does for all of its walk, is done before it goes on.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* More than any hole, so that no growth fits into what is retained. */
#define STEP_BYTES MIB

/* Less than this may come and go by itself. */
#define SLACK_BYTES (4 * MIB)

#define HOLE_LEAST_BYTES 12288
#define HOLE_SPREAD_BYTES 8192
#define KEPT_BYTES 64

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct amounts {
	size_t held_bytes, retained_bytes, growth_bytes;
};

static atomic_bool at_once;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "chased: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 8;
}

/* Without malloc(), which is for what it takes. */
static size_t resident_bytes(void)
{
	static int fd = -1;
	char text[128];
	size_t pages;
	ssize_t n;

	if (fd < 0)
		fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		die("/proc/self/statm");
	text[n] = '\0';
	if (sscanf(text, "%*u %zu", &pages) != 1)
		die("/proc/self/statm");
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* By one call, not by a fault for each page: that may take longer than borrowing as much. */
static void take(size_t bytes)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	char *memory = malloc(bytes);
	uintptr_t begin;

	if (!memory)
		die("memory");
	begin = ((uintptr_t)memory + page - 1) / page * page;
	(void)madvise((void *)begin, ((uintptr_t)memory + bytes - begin) / page * page,
		      MADV_POPULATE_WRITE);
	memset(memory, 'g', bytes);
}

static void *block(size_t bytes)
{
	void *memory = malloc(bytes);

	if (!memory)
		die("memory");
	return memset(memory, 'm', bytes);
}

/* Behind each hole a little stays in use, so none grows together with the next. */
static void retain(size_t bytes)
{
	const size_t n_max = bytes / HOLE_LEAST_BYTES + 1;
	void **holes = calloc(n_max, sizeof(*holes));
	unsigned int seed = 1;
	size_t n = 0;

	if (!holes)
		die("memory");
	for (size_t filled = 0; filled < bytes && n < n_max; n++) {
		const size_t hole = HOLE_LEAST_BYTES + next_random(&seed) % HOLE_SPREAD_BYTES;

		holes[n] = block(hole);
		block(KEPT_BYTES);
		filled += hole;
	}
	while (n > 0)
		free(holes[--n]);
	free(holes);
}

static void *grow(void *arg)
{
	const struct amounts *amounts = arg;
	size_t before, taken = 0, gone = 0;

	retain(amounts->retained_bytes);
	before = resident_bytes();
	puts("retained");
	fflush(stdout);

	while (taken < amounts->growth_bytes) {
		const size_t now = resident_bytes();

		gone = before + taken > now ? before + taken - now : 0;
		if (at_once || gone >= SLACK_BYTES + taken / 2) {
			take(STEP_BYTES);
			taken += STEP_BYTES;
		}
	}

	printf("grown %zu\n", gone / MIB);
	fflush(stdout);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct amounts amounts;
	pthread_t thread;
	char line[16];

	if (argc != 4) {
		fputs("Usage: chased HELD_MIB RETAINED_MIB GROWTH_MIB\n", stderr);
		return 2;
	}

	amounts.held_bytes = strtoul(argv[1], NULL, 10) * MIB;
	amounts.retained_bytes = strtoul(argv[2], NULL, 10) * MIB;
	amounts.growth_bytes = strtoul(argv[3], NULL, 10) * MIB;
	take(amounts.held_bytes);
	errno = pthread_create(&thread, NULL, grow, &amounts);
	if (errno != 0)
		die("thread");

	while (fgets(line, sizeof(line), stdin))
		at_once = true;
	return 0;
}
