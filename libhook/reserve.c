/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <stdbool.h>
#include <sys/mman.h>

#include "libhook/reserve.h"

/* Measured: 8 KiB are not enough, 16 not always. A hook without it has 36 KiB of private memory. */
#define RESERVE_BYTES ((size_t)24 << 10)

/* Only out of plenty, or it would be us who take the last page. */
#define PLENTY_BYTES ((uint64_t)1 << 20)

/* Smaller pages than any there are only cost a write more. */
#define STEP_BYTES 4096

static struct {
	volatile unsigned char *pages;
	bool spent;
} reserve;

static void touch(void)
{
	for (size_t i = 0; i < RESERVE_BYTES; i += STEP_BYTES)
		reserve.pages[i] = 1;
	reserve.spent = false;
}

void reserve_make(void)
{
	const long r = SYS(SYS_MMAP, 0L, RESERVE_BYTES, (long)(PROT_READ | PROT_WRITE),
			   (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L);

	reserve.pages = NULL;
	if (r < 0 && r > -4096)
		return;

	reserve.pages = (unsigned char *)r;
	touch();
}

/* Locked memory stays; then it is as if there were no reserve. */
void reserve_spend(void)
{
	if (reserve.pages && SYS(SYS_madvise, reserve.pages, RESERVE_BYTES, (long)MADV_DONTNEED) == 0)
		reserve.spent = true;
}

void reserve_restore(uint64_t released_bytes)
{
	if (reserve.pages && reserve.spent && released_bytes >= PLENTY_BYTES)
		touch();
}
