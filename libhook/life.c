/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <sys/mman.h>

#include "libhook/life.h"

/* Any number but 0, which is what the kernel leaves there. */
#define ID_WIPED 1

enum { UNPREPARED, BY_PID, WIPED };

struct life life;

/* A child has it as well: its copy of the page would be emptied for its own children. */
static int kind; /* atomic */

void life_prepare(uint32_t page_bytes)
{
	int now = BY_PID;

	if (__atomic_load_n(&kind, __ATOMIC_ACQUIRE) != UNPREPARED)
		return;

	/* Where pages are larger, others' data would be emptied along. */
	if (page_bytes == sizeof(life) &&
	    SYS(SYS_madvise, &life, sizeof(life), MADV_WIPEONFORK) == 0)
		now = WIPED;
	__atomic_store_n(&kind, now, __ATOMIC_RELEASE);
}

int life_id(void)
{
	switch (__atomic_load_n(&kind, __ATOMIC_ACQUIRE)) {
	case WIPED:
		return ID_WIPED;
	case BY_PID:
		return sys_getpid();
	default:
		return -1;
	}
}
