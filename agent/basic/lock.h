/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory that stays where it is while the machine has none. */

#include <stddef.h>

/* The smallest page of any machine. */
#define TOUCH_BYTES 4096

/*
 * Has @n_bytes > 0 at @memory their pages now, which else come when they are first written: a crisis
 * may have none. What is there stays.
 */
static inline void touch_memory(void *memory, size_t n_bytes)
{
	volatile char *byte = memory, *last = byte + n_bytes - 1;

	for (; byte < last; byte += TOUCH_BYTES)
		*byte = *byte;
	*last = *last;
}

/*
 * Lets go of the code and tables that only the start had use for, then keeps every page that
 * is touched from now on: a fault in the crisis would wait for memory. What is used again comes
 * back from its file. 0, or a negative errno: -EPERM or -ENOMEM by RLIMIT_MEMLOCK.
 */
int lock_memory(void);
