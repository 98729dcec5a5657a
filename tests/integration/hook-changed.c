/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that has changed the ground under the hook, for hook-changed.py: it has freed memory, and a
 * thread, and for each line that it reads tells how much it was told of by madvise().
 *
 *	hook-changed [DIRECTORY]	chroot there, after a line
 */

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "hook-look.h"

#define N_PIECES 4000
#define PIECE_BYTES 8000

static unsigned long told_bytes; /* atomic */

/* As those who remember pages for a device stand in front of it. */
int madvise(void *begin, size_t bytes, int advice)
{
	if (advice == MADV_DONTNEED)
		__atomic_add_fetch(&told_bytes, bytes, __ATOMIC_RELAXED);
	return (int)syscall(SYS_madvise, begin, bytes, advice);
}

int main(int argc, char **argv)
{
	char line[64];

	alarm(4 * LIMIT_SEC);
	retain_pieces(N_PIECES, PIECE_BYTES, 20);
	if (!await_agent())
		return 1;
	/* Once the agent has found its daemon. */
	if (argc > 1 && fgets(line, sizeof(line), stdin) && (chroot(argv[1]) < 0 || chdir("/") < 0))
		return printf("chroot: %s\n", strerror(errno)) < 0;

	do {
		printf("told %lu\n", __atomic_load_n(&told_bytes, __ATOMIC_RELAXED));
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));

	return 0;
}
