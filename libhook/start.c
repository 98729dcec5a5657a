/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "libhook/anchor.h"
#include "libhook/life.h"
#include "libhook/mem.h"
#include "libhook/start.h"

/*
 * One block would do, and a second where the first can grow in place. From glibc 2.42 on, and
 * without caches, each is good for one chunk at a time: see loan_take().
 */
#define BLOCKS 2
#define BLOCKS_EACH_ONE_CHUNK 32

static unsigned int n_blocks;

/* Only of how many spare blocks to have; what works is found out by doing it. */
void start_prepare(bool uncached)
{
	const char *s = gnu_get_libc_version ? gnu_get_libc_version() : "";
	const char *minor = text_after(s, "2.");
	const bool comes_back = minor && text_number(&minor, 10) < 42 && !uncached;

	n_blocks = comes_back ? BLOCKS : BLOCKS_EACH_ONE_CHUNK;
}

/* An arena takes up 64 MiB of it: that is for who would have allocated. */
bool start_has_addresses(void)
{
	struct {
		uint64_t soft, hard;
	} limit = { 0, 0 };

	return SYS(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) == 0 && limit.soft == UINT64_MAX;
}

bool start_is_useful(uint32_t page_bytes)
{
	bool useful;
	long page;

	if (!start_has_addresses())
		return false;

	page = SYS(SYS_MMAP, NULL, (size_t)page_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);

	if (page < 0 && page > -4096)
		return false;

	/* The kernel drops no locked page, and new ones are locked after mlockall(MCL_FUTURE). */
	useful = SYS(SYS_madvise, page, (size_t)page_bytes, MADV_DONTNEED) == 0;
	(void)SYS(SYS_munmap, page, (size_t)page_bytes);
	return useful;
}

void start_anchor(void)
{
	const int saved_errno = errno;
	sigset_t all, theirs;

	/* A handler that allocates, or jumps away, must not do so in the middle of malloc(). */
	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &theirs) != 0)
		return;

	anchor_drop(n_blocks);
	(void)pthread_sigmask(SIG_SETMASK, &theirs, NULL);
	errno = saved_errno;
}

/* The call in the last line becomes a jump: nothing of ours stays on the thread's stack. */
#ifdef __clang__
#define WITH_JUMPS
#define JUMP __attribute__((musttail))
#else
#define WITH_JUMPS __attribute__((optimize("O2")))
#define JUMP
#endif

WITH_JUMPS static void *start_thread(void *arg)
{
	const struct start mine = *(struct start *)arg;

	start_cancel(arg);
	start_anchor();
	JUMP return mine.routine(mine.arg);
}

struct start *start_wrap(start_routine_t *routine, void **arg)
{
	struct start *const starts = life.starts;
	const int id = life_id();

	for (size_t i = 0; i < STARTS_MAX; i++) {
		int taken = __atomic_load_n(&starts[i].taken, __ATOMIC_ACQUIRE);

		/* What a fork has met half-way stays with the parent: those threads are not here. */
		if (taken == id || !__atomic_compare_exchange_n(&starts[i].taken, &taken, id, false,
								__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			continue;

		starts[i].routine = *routine;
		starts[i].arg = *arg;
		*routine = start_thread;
		*arg = &starts[i];
		return &starts[i];
	}

	return NULL;
}

void start_cancel(struct start *start)
{
	if (start)
		__atomic_store_n(&start->taken, 0, __ATOMIC_RELEASE);
}
