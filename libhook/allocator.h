/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which allocators are in the process, and whose malloc is in force. */

#include "libhook/sys.h"

#include <stdint.h>

#include "libhook/foreign.h"
#include "libhook/wire.h"

struct allocators {
	uint32_t present; /* bits of enum wire_allocator */
	uint32_t owner;   /* the one that serves malloc(); 0 unknown */
	sys_clock_t clock; /* for sys_clock */
};

/* Both in the constructor only: they ask the loader. @libc: what the first one gave. */
struct foreign_object allocator_libc(void);
void allocator_find(const struct foreign_object *libc, const struct environment_symbols *symbols,
		    struct allocators *ret, struct foreigners *ret_foreigners);
